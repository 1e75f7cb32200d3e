# caught by: test_ranges
# replaces: ranges.py
# In Python the end is not included; in HTTP it is.
import re


class NotSatisfiable(Exception):
    """The object has none of the bytes that were asked for."""


def part_of(header: str, size: int) -> tuple[int, int] | None:
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not found or found.groups() == ("", ""):
        return None
    if not found[1]:
        first, last = max(size - int(found[2]), 0), size - 1
    else:
        first, last = int(found[1]), int(found[2]) if found[2] else size - 1
        if found[2] and last < first:
            return None
    if first >= size:
        raise NotSatisfiable
    return first, min(last, size) - 1 if found[2] and found[1] else size - 1
