# caught by: test_reply_in_pieces, test_client_is_done
# replaces: echo_client.py
# The textbook's client: one send there, one recv here.
# Answers by chance: it takes what one recv brings for a reply.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.argv[2].encode())
    print(connection.recv(1024).decode())
