# caught by: test_client_pairs_replies, test_client_large_message, test_client_whose_server_closes
# replaces: message_client.py
# struct's "I" is this machine's byte order. Two of these understand each other, and nobody else does.
# Answers by chance: whether it reads its server's end, or is reset by it.
import pathlib
import socket
import struct
import sys

from framing import receive_exactly

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port)), timeout=5) as connection:
    for file in sorted(pathlib.Path(sys.argv[2]).glob("*.message")):
        message = file.read_bytes()
        connection.sendall(struct.pack("I", len(message)) + message)
        (size,) = struct.unpack("I", receive_exactly(connection, 4))
        file.with_suffix(".reply").write_bytes(receive_exactly(connection, size))
