"""Step 6.2, as one expression per header."""

import re
from collections.abc import Mapping


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    """Why not, or None."""
    listed = {
        name: bool(etag) and (value == "*" or etag in re.findall('"[^"]*"', value))
        for name, value in headers.items()
        if name in {"if-match", "if-none-match"}
    }
    if not listed.get("if-match", True):
        return 412
    if listed.get("if-none-match", False):
        return 412 if method == "PUT" else 304
    return None
