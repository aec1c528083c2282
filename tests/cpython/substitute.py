"""Puts veritls in place of `ssl` for everything that is imported afterwards."""

from __future__ import annotations

import ssl


def substitute() -> None:
    """Sets veritls's public names in the real `ssl` module; names that veritls lacks stay the real ones.

    What the real module defines in Python (`_create_stdlib_context`, `get_server_certificate`) finds the new
    classes there too. A property of `ssl.SSLContext` that veritls does not override ends in RecursionError:
    the real setters call `super(SSLContext, SSLContext)` by the name that is now veritls's.
    """
    import veritls

    inject = getattr(veritls, "inject", None)
    if inject is not None:
        inject()
        return
    for name in veritls.__all__:
        setattr(ssl, name, getattr(veritls, name))
    vars(ssl)["_create_default_https_context"] = veritls.create_default_context
