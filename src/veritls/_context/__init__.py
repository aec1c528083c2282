"""SSLContext: a face over one immutable Settings value, and the parts of that value."""
