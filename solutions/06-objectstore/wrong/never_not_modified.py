# caught by: test_not_modified
# replaces: conditions.py
# The condition is for writers only; readers get everything every time.
from collections.abc import Mapping

from given.storage import ABSENT


def names(header: str, etag: str) -> bool:
    if etag == ABSENT:
        return False
    return header.strip() == "*" or etag in [one.strip() for one in header.split(",")]


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    if "if-match" in headers and not names(headers["if-match"], etag):
        return 412
    if "if-none-match" in headers and names(headers["if-none-match"], etag):
        return None if method in {"GET", "HEAD"} else 412
    return None
