"""Step 6.5. A download that goes on where it stopped, over a link that cuts.

Usage: STORE_ADDR=HOST:PORT STORE_KEY=ID:SECRET python download.py /bucket/key FILE TRIES

What has come so far is in FILE.part, and the ETag of the object that it is a part of in FILE.etag. A later
run goes on with them. When the object is whole, it is in FILE, and these two are gone.
"""

import sys
from pathlib import Path

from given.client import Store


def download(store: Store, path: str, file: Path, tries: int) -> None:
    """Fetch an object, in as many requests as it takes.

    What has come once is not fetched again. But parts of two versions of an object make none: if it has been
    replaced meanwhile, begin again.

    What comes is written to FILE.part as it comes, so that it is there when the program is killed. A try is a
    GET, however it ends: one that is refused with 412 is one, too. A HEAD is none.

    Raises:
        ConnectionError: It is not whole after so many tries.
        RuntimeError: The store answers something that is not foreseen.
    """
    # BEGIN SOLUTION step-6.5 "ask for all that is missing, if the object is still the same; keep what comes"
    part, etag = Path(f"{file}.part"), Path(f"{file}.etag")
    for _ in range(tries):
        try:
            if fetch_rest(store, path, part, etag):
                part.replace(file)
                etag.unlink()
                return
        except (ConnectionError, TimeoutError) as error:
            print(f"{part.stat().st_size if part.exists() else 0:,} bytes, then {error}", file=sys.stderr)
    raise ConnectionError(f"not whole after {tries} tries")
    # END SOLUTION


# BEGIN SOLUTION DELETE
def fetch_rest(store: Store, path: str, part: Path, etag: Path) -> bool:
    """Make one request for what is missing; whether nothing is missing any more."""
    have = part.stat().st_size if part.exists() and etag.exists() else 0
    conditions = {"Range": f"bytes={have}-", "If-Match": etag.read_text()} if have else {}
    with store.open(path, conditions) as response:
        if response.status == 412:
            part.unlink()  # it is another object now
            return False
        if response.status == 416:
            return True  # there is nothing behind what we have
        if response.status not in {200, 206}:
            raise RuntimeError(f"the store answered {response.status}")
        etag.write_text(response.headers["etag"])
        with part.open("ab" if response.status == 206 else "wb") as file:
            for piece in response.body:
                file.write(piece)
    return True


# END SOLUTION


def main() -> None:
    """Download what the command line names."""
    path, file, tries = sys.argv[1:]
    download(Store.of_environment(), path, Path(file), int(tries))
    print(f"{Path(file).stat().st_size} bytes")


if __name__ == "__main__":
    main()
