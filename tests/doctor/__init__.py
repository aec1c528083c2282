"""`python -m veritls doctor`: what it finds is true, and what it does not find is nothing."""
