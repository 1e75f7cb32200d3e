# caught by: test_reply_in_pieces, test_client_is_done
# replaces: echo_client.py
# "The reply is one longer than the text": only if the text arrived at the server in one piece.
# Answers by chance: it takes what one recv brings.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port))) as connection:
    text = sys.argv[2].encode()
    connection.sendall(text)
    reply = b""
    while len(reply) < len(text) + 1:
        reply += connection.recv(1)
    print(reply.decode())
