# caught by: test_lost_update
# replaces: conditions.py
# It thinks that nobody sends two conditions, and looks at one of them.
from collections.abc import Mapping

from given.storage import ABSENT


def names(header: str, etag: str) -> bool:
    if etag == ABSENT:
        return False
    return header.strip() == "*" or etag in [one.strip() for one in header.split(",")]


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    if "if-none-match" in headers:
        if names(headers["if-none-match"], etag):
            return 304 if method in {"GET", "HEAD"} else 412
    elif "if-match" in headers and not names(headers["if-match"], etag):
        return 412
    return None
