"""BetterTLS (Netflix, Apache-2.0), name constraints and path building, run through `verify_chain`."""
