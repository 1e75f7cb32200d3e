# caught by: test_half_a_character
# replaces: echo_server.py
# "The message is a text", so it is decoded; but a piece may end in the middle of a character.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(1024):
                message = piece.decode() + "*"
                connection.sendall(message.encode())
