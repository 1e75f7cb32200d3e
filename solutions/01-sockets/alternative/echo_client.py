"""Step 1.2, with the connection as two files."""

import shutil
import socket
import sys

host, port = sys.argv[1].split(":")
with socket.create_connection((host, int(port))) as connection:
    with connection.makefile("wb") as requests:
        requests.write(sys.argv[2].encode())
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as replies:
        shutil.copyfileobj(replies, sys.stdout.buffer)
