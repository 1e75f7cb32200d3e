"""Step 6.2. Two people edit the same text, and neither loses what the other has written.

Usage: STORE_ADDR=HOST:PORT STORE_KEY=ID:SECRET python editor.py /bucket/key LINE FOLDER

Opens the text, waits until the person has finished (FOLDER/done is there), adds LINE at the end, saves.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from given.client import Store
from given.messages import Response


def save(store: Store, path: str, edit: Callable[[bytes], bytes]) -> None:
    """Replace a text by what `edit` makes of it. A text that is not there yet is an empty one.

    Whatever was saved by somebody else meanwhile is edited too, not lost: then `edit` is called again.

    Raises:
        RuntimeError: The store answers something that is not foreseen.
    """
    # TODO step 6.2: GET, edit, PUT only if it is still what was got; if it is not, once more
    raise NotImplementedError("lab 6, step 6.2")


def content(response: Response) -> bytes:
    """The body of a 200; a RuntimeError for any other response."""
    if response.status != 200 or not isinstance(response.body, bytes):
        raise RuntimeError(f"the store answered {response.status}")
    return response.body


def main() -> None:
    """Edit the text on the command line."""
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
