# caught by: test_lost_update
# replaces: conditions.py
# If-None-Match is known as the way to create, with a star; on a PUT nothing else is looked at.
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
        if method == "PUT" and headers["if-none-match"] != "*":
            return None
        return 304 if method in {"GET", "HEAD"} else 412
    return None
