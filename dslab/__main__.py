"""``python -m dslab`` and the ``dslab`` command are the same program."""

from __future__ import annotations

import gc
import sys

INTERRUPTED = 130


def main() -> int:
    """Run the command on the command line; its exit status. Ctrl-C is quiet from the first import on."""
    gc.set_threshold(100_000)  # a start makes objects by the ten thousand, and all of them stay
    try:
        from dslab.kit.cli import app

        return app.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        gc.freeze()  # else Python ends with a search for cycles: a tenth of a second, for nothing


if __name__ == "__main__":
    sys.exit(main())
