# caught by: test_only_if_it_is_there, test_two_at_the_same_time
# replaces: conditions.py
# A star matches every object, and what is not there is taken for one.
from collections.abc import Mapping



def names(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in [one.strip() for one in header.split(",")]


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    if "if-match" in headers and not names(headers["if-match"], etag):
        return 412
    if "if-none-match" in headers and names(headers["if-none-match"], etag):
        return 304 if method in {"GET", "HEAD"} else 412
    return None
