# caught by: test_client_pairs_replies, test_client_large_message, test_client_whose_server_closes
# replaces: message_client.py
# recv(size) returns at most size bytes. What is left of this reply is taken for the start of the next.
# Answers by chance: it takes what one recv brings for a reply.
import pathlib
import socket
import sys

from framing import send_message

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port)), timeout=5) as connection:
    for file in sorted(pathlib.Path(sys.argv[2]).glob("*.message")):
        send_message(connection, file.read_bytes())
        size = int.from_bytes(connection.recv(4), "big")
        file.with_suffix(".reply").write_bytes(connection.recv(size))
