"""Step 6.5, by partition."""


class Nothing(Exception):
    """No byte of it is there."""


def part_of(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte."""
    unit, _, range_set = header.partition("=")
    begin, dash, end = range_set.partition("-")
    if unit != "bytes" or not dash or not (begin + end).isdigit():
        return None
    if begin and end and int(end) < int(begin):
        return None
    first = int(begin) if begin else max(0, size - int(end))
    last = int(end) if begin and end else size - 1
    if first >= size:
        raise Nothing
    return first, min(last, size - 1)
