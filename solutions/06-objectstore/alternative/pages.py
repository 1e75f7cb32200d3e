"""Step 6.3, with the last key itself as the token."""

from itertools import islice

from given.documents import Page


def page_after(token: str | None, keys: list[str], size: int) -> Page:
    """Keys greater than the token."""
    rest = (key for key in keys if token is None or key > token)
    page = list(islice(rest, size))
    return Page(page, page[-1] if page and page[-1] != keys[-1] else None)
