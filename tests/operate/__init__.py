"""What a program is told while it runs: events and log lines."""
