"""Options and stored fields: each default, bound and help sentence is defined here, once."""
