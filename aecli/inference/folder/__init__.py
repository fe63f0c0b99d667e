"""Output of a table of many files: one output per file, in a folder that can be resumed."""
