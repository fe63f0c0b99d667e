"""Parse a command line, call one verb, display its result; only here live Click and rich."""
