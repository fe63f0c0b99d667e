"""Build networks and losses from plain keyword arguments; torch only, never a spec."""
