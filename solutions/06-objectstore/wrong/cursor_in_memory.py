# caught by: test_next_page_elsewhere, test_killed_in_mid_session
# replaces: pages.py
# The rest of the list is kept for the client to come back, in the memory of this one server.
# Answers by chance: its tokens are.
import secrets

from given.documents import Page

rests = {}


def page_after(token, keys, size):
    rest = rests.pop(token) if token else list(keys)
    page, rest = rest[:size], rest[size:]
    if not page or not rest:
        return Page(page)
    token = secrets.token_hex(8)
    rests[token] = rest
    return Page(page, token)
