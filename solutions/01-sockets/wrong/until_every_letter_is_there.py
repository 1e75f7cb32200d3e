# caught by: test_reply_in_pieces
# replaces: echo_client.py
# Counts the letters, without the stars: the star behind the last one may come later, and is left behind.
# Answers by chance: whether the last star has come when it counts the letters.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
data, reply = sys.argv[2].encode(), b""
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    while len(reply.replace(b"*", b"")) < len(data):
        reply += connection.recv(1024)
sys.stdout.buffer.write(reply + b"\n")
