"""What files and memory hold: PEM, certificates, keys and identities, CRLs."""
