"""Step 6.5. A part of an object: what a Range header asks for.

====================  =======================================  =================  =============
header                asks for                                 of 10 bytes        Content-Range
====================  =======================================  =================  =============
Range: bytes=2-4      the bytes 2 to 4, both included          206, 2 to 4        bytes 2-4/10
Range: bytes=2-99     from 2 on; there are fewer than 100      206, 2 to 9        bytes 2-9/10
Range: bytes=2-       from 2 on                                206, 2 to 9        bytes 2-9/10
Range: bytes=-3       the last three                           206, 7 to 9        bytes 7-9/10
Range: bytes=-99      the last 99; all there are               206, 0 to 9        bytes 0-9/10
Range: bytes=10-      nothing that there is                    416, InvalidRange  bytes */10
Range: bytes=-0       nothing                                  416, InvalidRange  bytes */10
Range: lines=2-4      something else: as if it were not there  200, all
Range: bytes=4-2      nothing that makes sense: the same       200, all
Range: bytes=0-1,4-5  several parts: a server may decline      200, all
====================  =======================================  =================  =============

Of an empty object every range that makes sense is 416, also ``bytes=-3``: no Content-Range could say which
bytes these are. A 206 tells the ETag as a 200 does; its Content-Length is that of the part.

Source: RFC 9110, section 14.
"""

# BEGIN SOLUTION DELETE
import re

# END SOLUTION


class NotSatisfiable(Exception):
    """The object has none of the bytes that were asked for."""


def part_of(header: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte, both included, of what is asked for; None if it is the whole object.

    Args:
        header: The value of Range; empty if there is none.
        size: How many bytes the object has.

    Raises:
        NotSatisfiable: See the table.
    """
    # BEGIN SOLUTION step-6.5 "the table above, a line at a time"
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
    return first, min(last, size - 1)
    # END SOLUTION
