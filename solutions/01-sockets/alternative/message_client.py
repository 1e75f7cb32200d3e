"""Step 1.3, with all requests under way at once: the replies come in order."""

import pathlib
import socket
import sys
import threading

from framing import Splitter, pack

host, port = sys.argv[1].split(":")
files = sorted(pathlib.Path(sys.argv[2]).glob("*.message"))
splitter, replies = Splitter(), []
with socket.create_connection((host, int(port))) as connection:
    sender = threading.Thread(target=lambda: [connection.sendall(pack(each.read_bytes())) for each in files])
    sender.start()
    while len(replies) < len(files):
        piece = connection.recv(1 << 20)
        if not piece:
            sys.exit("the server hung up")
        replies += splitter.feed(piece)
    sender.join()
for file, reply in zip(files, replies, strict=True):
    file.with_suffix(".reply").write_bytes(reply)
