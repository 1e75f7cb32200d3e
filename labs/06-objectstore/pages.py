"""Step 6.3. A long list, a page at a time, by a server that remembers nothing between two pages."""

from collections.abc import Sequence

from given.documents import Page


def page_after(token: str | None, keys: Sequence[str], size: int) -> Page:
    """The next page of a list.

    All that is known of the earlier pages stands in the token, which the client got with the last of them and
    sends back. What it looks like is your affair. Between two pages keys may come and go: every key that is
    there all the time is in exactly one page.

    Args:
        token: None for the first page.
        keys: All keys, sorted.
        size: The page has so many keys, fewer only if there are no more.

    Returns:
        The page; its `next_token` is None if no keys are left.
    """
    # TODO step 6.3: which keys come after the last one of the page before?
    raise NotImplementedError("lab 6, step 6.3")
