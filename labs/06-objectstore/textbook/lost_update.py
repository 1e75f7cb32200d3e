"""Two people edit one text through a store that knows PUT and GET, and nothing else.

Usage: python lost_update.py
"""

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from given.client import ask
from given.messages import Request, Response
from given.server import serve

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    ADDRESS = f"127.0.0.1:{free.getsockname()[1]}"
texts: dict[str, bytes] = {}


def answer(request: Request) -> Response:
    """PUT keeps a text, GET gives it back."""
    if request.method == "PUT":
        texts[request.target] = b"".join(request.body)
    return Response(200, body=texts[request.target])


def read() -> bytes:
    """What is there."""
    return b"".join([ask(ADDRESS, "GET", "/notes/today").body])


def save(text: bytes) -> int:
    """Put it there; the status."""
    return ask(ADDRESS, "PUT", "/notes/today", body=text).status


def main() -> None:
    """Alice opens the text, Bob opens it; Alice saves, Bob saves."""
    threading.Thread(target=serve, args=(ADDRESS, answer), daemon=True).start()
    while True:
        try:
            save(b"shopping:")
            break
        except ConnectionRefusedError:  # not listening yet
            continue
    alices, bobs = read(), read()
    print("alice saves:", save(alices + b" milk"))
    print("bob saves:  ", save(bobs + b" bread"))
    print("what is there now:", read().decode())


if __name__ == "__main__":
    main()
