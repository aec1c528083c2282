"""What a VerificationReport is made of: request, parsed certificates, checks, the tree."""
