# caught by: test_editors
# replaces: editor.py
# Without a condition, whoever saves last wins.
import sys
import time
from collections.abc import Callable
from pathlib import Path

from given.client import Store
from given.messages import Response


def save(store: Store, path: str, edit: Callable[[bytes], bytes]) -> None:
    while True:
        found = store.ask("GET", path)
        if found.status == 404:
            text, condition = b"", {"If-None-Match": "*"}
        else:
            text, condition = content(found), {"If-Match": found.headers["etag"]}
        written = store.ask("PUT", path, {}, edit(text))
        if written.status == 200:
            return
        if written.status != 412:
            raise RuntimeError(f"the store answered {written.status}")


def content(response: Response) -> bytes:
    if response.status != 200 or not isinstance(response.body, bytes):
        raise RuntimeError(f"the store answered {response.status}")
    return response.body


def main() -> None:
    path, line, folder = sys.argv[1:]

    def edit(text: bytes) -> bytes:
        print(f"opened {len(text)} bytes", flush=True)
        while not (Path(folder) / "done").exists():  # the person is writing
            time.sleep(0.01)
        return text + line.encode() + b"\n"

    save(Store.of_environment(), path, edit)
    print("saved")


if __name__ == "__main__":
    main()
