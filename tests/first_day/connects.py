"""connects.py SECONDS: a client with a certificate, by Python's own `ssl`, that connects anew each time."""

import collections
import http.client
import ssl
import sys
import time

context = ssl.create_default_context(cafile="/etc/tls/ca.crt")
context.load_cert_chain("/etc/tls/web.pem", "/etc/tls/web.key")
seen: collections.Counter[str] = collections.Counter()
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    connection = http.client.HTTPSConnection("localhost", 8443, timeout=10, context=context)
    try:
        connection.request("GET", "/orders")
        seen[str(connection.getresponse().status)] += 1
    except OSError as error:
        seen[str(error)] += 1
    finally:
        connection.close()
print("a client that connects anew:", dict(seen))
