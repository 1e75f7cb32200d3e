# caught by: test_client_pairs_replies, test_client_whose_server_closes
# replaces: message_client.py
# Right answers, but each costs a new connection: with framing one is enough.
import pathlib
import socket
import sys

from framing import receive_message, send_message

host, _, port = sys.argv[1].rpartition(":")
for file in sorted(pathlib.Path(sys.argv[2]).glob("*.message")):
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        send_message(connection, file.read_bytes())
        file.with_suffix(".reply").write_bytes(receive_message(connection))
