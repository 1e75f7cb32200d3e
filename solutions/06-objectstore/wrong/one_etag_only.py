# caught by: test_not_modified, test_lost_update
# replaces: conditions.py
# A list of ETags is compared as if it were one.
from collections.abc import Mapping

from given.storage import ABSENT


def names(header: str, etag: str) -> bool:
    if etag == ABSENT:
        return False
    return header.strip() == "*" or etag == header.strip()


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    if "if-match" in headers and not names(headers["if-match"], etag):
        return 412
    if "if-none-match" in headers and names(headers["if-none-match"], etag):
        return 304 if method in {"GET", "HEAD"} else 412
    return None
