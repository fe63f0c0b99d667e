"""Parse a command line, call one function, display its result."""
