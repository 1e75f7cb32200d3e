"""The textbook's server: accept one client, and send each piece back with a star.

Usage: python server.py HOST:PORT
"""

import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind((host, int(port)))
listener.listen(1)
conn, addr = listener.accept()  # returns the connection and the client's address
while True:
    data = conn.recv(1024)  # receive what there is, at most 1024 bytes
    if not data:
        break  # the client has closed
    msg = data.decode() + "*"
    conn.send(msg.encode())
conn.close()
