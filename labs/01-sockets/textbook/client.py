"""The textbook's client: send one text, print what comes back.

Usage: python client.py HOST:PORT
"""

import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
connection.connect((host, int(port)))
msg = "Hello World"
connection.send(msg.encode())
data = connection.recv(1024)
print(data.decode())
connection.close()
