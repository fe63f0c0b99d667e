"""Networks and losses from plain keyword arguments; only torch, never a spec."""
