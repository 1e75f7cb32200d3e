# caught by: test_keys_come_and_go
# replaces: pages.py
# So many have been sent, so skip as many: right as long as nobody deletes anything.
from given.documents import Page


def page_after(token, keys, size):
    start = int(token or 0)
    page = keys[start : start + size]
    return Page(page, str(start + size) if page and start + size < len(keys) else None)
