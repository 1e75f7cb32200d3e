"""The iterative server: one client after the other.

What it costs: nothing, as long as every client is quick. One that connects and says nothing makes all others
wait. They are connected, for the kernel does that, and their requests lie in its buffers; nobody reads them.

Source: ch. 3, Servers (iterative and concurrent servers).
"""

from __future__ import annotations

import socket

from dslab.echo.server import Options, accept, converse


def serve(listener: socket.socket, options: Options) -> None:
    """Serve clients one by one."""
    while True:
        converse(accept(listener), options)
