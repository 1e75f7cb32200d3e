"""The file descriptors of a server: one per client, and none of them where its standard streams belong.

Source: ch. 3, Servers; setrlimit(2).
"""

from __future__ import annotations

import os
import resource

MACOS_MOST = 10_240
"""OPEN_MAX of macOS, which names no limit and then refuses to have none."""


def prepare_descriptors() -> None:
    """Let this process open as many as it may.

    Of 0, 1 and 2 those that its caller has closed lead to nowhere: a connection would get them, and libuv
    aborts a process that closes one which has such a number.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # it is the lowest that is free
        pass
    os.close(descriptor)
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except ValueError:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, MACOS_MOST), most))
