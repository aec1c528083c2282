"""The rest of the module `ssl`: functions, constants, and veritls in its place."""
