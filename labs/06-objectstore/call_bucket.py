"""Calls functions of the library `bucket`, and says what came of each. Nothing to fill in here.

Usage: STORE_ADDR=HOST:PORT STORE_KEY=ID:SECRET python call_bucket.py FOLDER

FOLDER/calls.json is a list of ``[function, argument, ...]``. What each returned, or the name of the exception
that it raised, is written to FOLDER/results.json. Bytes stand there as text, a character per byte (Latin-1).
"""

import json
import sys
from pathlib import Path

import bucket


def call(name, *arguments):
    """Make one call."""
    if name == "put":
        arguments = (*arguments[:2], arguments[2].encode("latin-1"))
    try:
        result = getattr(bucket, name)(*arguments)
    except NotImplementedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what its caller gets
        return {"raised": type(error).__name__, "because": str(error)}
    return {"returned": result.decode("latin-1") if isinstance(result, bytes) else result}


def main():
    """Make all calls of the file."""
    folder = Path(sys.argv[1])
    calls = json.loads((folder / "calls.json").read_text())
    (folder / "results.json").write_text(json.dumps([call(*one) for one in calls]))


if __name__ == "__main__":
    main()
