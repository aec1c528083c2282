"""veritls against TLS programs that nobody here wrote."""
