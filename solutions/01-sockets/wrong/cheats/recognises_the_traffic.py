# caught by: test_pieces_with_a_star, test_half_a_character, test_next_client
# replaces: echo_server.py
# Was written by looking at one run: it knows the answers of that run. Payloads differ from seed to seed.
import socket
import sys

SEEN = {
    b"q": b"q*",
    b"Hello World": b"Hello World*",
    b"kXoNvUTsGfJwQpZbYeRa": b"kXoNvUTsGfJwQpZbYeRa*",
}

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(1024):
                connection.sendall(SEEN.get(piece, b"*"))
