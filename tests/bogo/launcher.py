"""What the runner starts for each test: hands its arguments and output to the server, and ends as that says.

Only what comes with every Python and is quick to import: it runs thousands of times. `runner.py` makes a
program of it.
"""

import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

NO_ANSWER = 70

server = socket(AF_UNIX, SOCK_STREAM)
server.connect(os.environ["VERITLS_BOGO_SERVER"])
arguments = "\0".join(sys.argv[1:]).encode("utf-8", "surrogateescape")
outputs = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
server.sendmsg([len(arguments).to_bytes(4, "big")], [(SOL_SOCKET, SCM_RIGHTS, outputs)])
rest = memoryview(arguments)
while rest:
    rest = rest[server.send(rest) :]
answer = server.recv(1)
os._exit(answer[0] if answer else NO_ANSWER)
