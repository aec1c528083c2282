"""The servers that servers.py starts, where they need a program written for them."""
