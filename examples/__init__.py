"""Programs to start from: each is one command, which its first lines name."""
