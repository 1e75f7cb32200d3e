# caught by: test_client_whose_server_closes
# replaces: message_client.py
# None is turned into an empty reply, "so that there is always something to write", and so is an error.
import socket
import sys
from pathlib import Path

from framing import receive_message, send_message

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port)), timeout=30) as connection:
    for file in sorted(Path(sys.argv[2]).glob("*.message")):
        try:
            send_message(connection, file.read_bytes())
            reply = receive_message(connection) or b""
        except OSError:
            reply = b""
        file.with_suffix(".reply").write_bytes(reply)
