"""A user's program that touches every public name, for type checkers: it is checked, never run."""
