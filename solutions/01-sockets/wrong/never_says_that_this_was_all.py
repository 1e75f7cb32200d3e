# caught by: test_client_prints_the_reply, test_reply_in_pieces, test_client_is_done
# replaces: echo_client.py
# The client waits until the server closes, the server until the client does. Nobody moves.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.argv[2].encode())
    reply = b""
    while piece := connection.recv(1024):
        reply += piece
    print(reply.decode())
