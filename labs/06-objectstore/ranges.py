"""Step 6.5. A part of an object: what a Range header asks for.

=====================  ===========================================  =============================
header                 asks for                                     of 10 bytes
=====================  ===========================================  =============================
Range: bytes=2-4       the bytes 2 to 4, both included              2 to 4
Range: bytes=2-99      from 2 on; there are fewer than 100          2 to 9
Range: bytes=2-        from 2 on                                    2 to 9
Range: bytes=-3        the last three                               7 to 9
Range: bytes=-99       the last 99; all there are                   0 to 9
Range: bytes=10-       nothing that there is                        416, Range Not Satisfiable
Range: bytes=-0        nothing                                      416
Range: lines=2-4       something else: as if it were not there      all, with 200
Range: bytes=4-2       nothing that makes sense: the same           all, with 200
Range: bytes=0-1,4-5   several parts: a server may decline          all, with 200
=====================  ===========================================  =============================

Source: RFC 9110, section 14.
"""


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
    # TODO step 6.5: the table above, a line at a time
    raise NotImplementedError("lab 6, step 6.5")
