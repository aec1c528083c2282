"""The certification path validation suite of NIST (PKITS), asked of `verify_chain`."""
