"""Do what each command does, as plain functions that return results and never print."""
