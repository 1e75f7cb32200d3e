# caught by: test_no_such_range
# replaces: ranges.py
# The last three bytes of an empty object are all that there are: none, as a part from 0 to -1.
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
    if first >= size and (found[1] or found[2].strip("0") == ""):
        raise NotSatisfiable
    return first, min(last, size - 1)
