"""CPython's own TLS test suites, from the interpreter that runs, with veritls in place of `ssl`."""
