"""The options and the entry of each command; what a command does is in a module beside this package."""
