"""Why a certificate was refused, in words: the diagnosis, one explanation for each kind, the exceptions."""
