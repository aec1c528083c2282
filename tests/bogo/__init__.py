"""BoGo, the state-machine tests of BoringSSL, against veritls. Nothing of BoringSSL is in this repository."""
