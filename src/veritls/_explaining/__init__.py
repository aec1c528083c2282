"""Why a certificate was refused, in words: the request, the checks, the diagnosis, the explanations."""
