"""Links: the proxies between services, which carry every connection, record it and break it on demand.

Every connection between two services of a topology goes through a link, ``source->target``. Without faults a
link only copies; with faults it does, from a seed, what networks do. Faults are made in user space, because
the kernel's own (``tc netem``) need root and a module that many kernels lack.

Read in this order: `spec` (what a link is), `faults` (what it may do), `fate` (what happens to one piece,
pure and seeded), `framing` (messages out of a stream), `schedule` (when bytes leave, pure), `link` (the
state of one link), `line` (what waits, pure), `intake` and `lane` (one direction of a connection), `tcp`,
`udp`, `program` (all links of a run, and the server of the channel that controls them), `control` (that
channel, and its blocking client), `thread` (the program inside the grader's process), `__main__` (the program
in a container).

Source: ch. 4, Layered protocols; ch. 1, Pitfalls (the network is reliable, latency is zero, ...).
"""

from dslab.kit.links.control import LinksClient
from dslab.kit.links.spec import LinkSpec, LinkStats
from dslab.kit.links.thread import LinksThread

__all__ = ["LinkSpec", "LinkStats", "LinksClient", "LinksThread"]
