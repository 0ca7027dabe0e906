"""Faults that a hostile day brings: each a file or a machine that is wrong, a command, and what must be said."""
