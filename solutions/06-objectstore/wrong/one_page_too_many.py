# caught by: test_next_page_elsewhere
# replaces: pages.py
# A full page is taken for a sign that there is another one.
import base64
from bisect import bisect_right

from collections.abc import Sequence

from given.documents import Page


def page_after(token: str | None, keys: Sequence[str], size: int) -> Page:
    start = bisect_right(keys, _read(token)) if token else 0
    page = keys[start : start + size]
    more = page and len(page) == size
    return Page(page, _write(page[-1]) if more else None)


def _write(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _read(token: str) -> str:
    return base64.urlsafe_b64decode(token).decode()


