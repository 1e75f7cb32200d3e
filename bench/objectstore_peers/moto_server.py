"""moto's server, with buckets that are full from the start: ``moto_server.py PORT COUNT...``.

Run by the interpreter that has moto; knows nothing of dslab. Putting the keys by HTTP would take minutes.
"""

from __future__ import annotations

import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

ACCOUNT = "123456789012"


def main() -> None:
    """Fill, and serve until the end."""
    port, *counts = map(int, sys.argv[1:])
    backend = s3_backends[ACCOUNT]["aws"]
    for count in counts:
        backend.create_bucket(f"keys-{count}", "us-east-1")
        for number in range(count):
            backend.put_object(f"keys-{count}", f"{number:07}", b"x")
    application = DomainDispatcherApplication(create_backend_app)
    application.debug = True  # as `moto_server` has it
    run_simple("127.0.0.1", port, application, threaded=True)


if __name__ == "__main__":
    main()
