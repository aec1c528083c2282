"""Libraries' own test suites, from their sdists, with veritls in place of `ssl`."""
