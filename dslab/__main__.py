"""``python -m dslab`` and the ``dslab`` command are the same program."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> int:
    """Run the command on the command line; its exit status. Ctrl-C is quiet from the first import on."""
    try:
        from dslab.kit.cli import app

        return app.main()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
