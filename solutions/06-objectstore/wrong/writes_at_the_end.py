# caught by: test_killed_in_mid_download
# replaces: download.py
# What comes is gathered in memory and written when the request is over, however that ends.
import sys
from pathlib import Path

from given.client import Store


def download(store: Store, path: str, file: Path, tries: int) -> None:
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


def fetch_rest(store: Store, path: str, part: Path, etag: Path) -> bool:
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
        pieces = []
        try:
            pieces.extend(response.body)
        finally:
            with part.open("ab" if response.status == 206 else "wb") as file:
                file.write(b"".join(pieces))
    return True


def main() -> None:
    path, file, tries = sys.argv[1:]
    download(Store.of_environment(), path, Path(file), int(tries))
    print(f"{Path(file).stat().st_size} bytes")


if __name__ == "__main__":
    main()
