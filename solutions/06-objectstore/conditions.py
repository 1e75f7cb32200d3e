"""Step 6.2. Conditional requests: do it only if the object is (or is not) the one that I know.

=====================  ========================================  ====================  =================
header                 do it only if                             else: GET, HEAD       else: PUT
=====================  ========================================  ====================  =================
If-Match: "a", "b"     the object's ETag is one of these         412                   412
If-Match: *            there is an object                        412                   412
If-None-Match: "a"     its ETag is none of these                 304, Not Modified     412
If-None-Match: *       there is no object                        304, Not Modified     412
=====================  ========================================  ====================  =================

412 is called Precondition Failed. A request with both headers is done only if both allow it; If-Match is
looked at first. A 304 tells the ETag, as a 200 does. Source: RFC 9110, section 13.
"""

from collections.abc import Mapping

# BEGIN SOLUTION DELETE
from given.storage import ABSENT

# END SOLUTION


def names(header: str, etag: str) -> bool:
    """Whether the value of an If-Match or If-None-Match names the object with that ETag.

    ``*`` names every object; nothing names what is ABSENT.
    """
    # BEGIN SOLUTION step-6.2 "is it there, and is it one of the list, or is the list a star?"
    if etag == ABSENT:
        return False
    return header.strip() == "*" or etag in [one.strip() for one in header.split(",")]
    # END SOLUTION


def refusal(method: str, headers: Mapping[str, str], etag: str) -> int | None:
    """The status that says why this request is not to be done, or None if it is.

    Args:
        method: GET, PUT ...
        headers: The request's, names in lower case.
        etag: That of the object as it is, or ABSENT.
    """
    # BEGIN SOLUTION step-6.2 "the table above, a line at a time"
    if "if-match" in headers and not names(headers["if-match"], etag):
        return 412
    if "if-none-match" in headers and names(headers["if-none-match"], etag):
        return 304 if method in {"GET", "HEAD"} else 412
    return None
    # END SOLUTION
