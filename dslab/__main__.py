"""``python -m dslab`` and the ``dslab`` command are the same program."""

from __future__ import annotations

import sys

from dslab.kit.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
