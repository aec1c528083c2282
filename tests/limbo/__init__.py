"""The conformance corpus x509-limbo (https://x509-limbo.com, Apache-2.0) run through `verify_chain`."""
