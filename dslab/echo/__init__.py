"""Echo: what you send comes back with a ``*``. The smallest service there is, served in six ways.

A client sends a message over TCP, or a datagram over UDP; the server answers with the same bytes and a ``*``.
So little service leaves the view free on what every networked program has to get right: where a message ends,
who waits for whom, what a slow or broken peer may do to the others, and what a missing reply means.

Read in this order:

1. ``messages``: what travels, byte by byte.
2. ``protocol``: framing and request-reply as state machines, without a socket.
3. ``client``: a blocking client; ``server``: what the TCP servers share.
4. The servers, each a different answer to "who waits?": ``server_iterative``, ``server_threads``,
   ``server_processes``, ``server_selectors`` (an explicit finite-state machine), ``server_asyncio``.
5. ``udp``: server and client over datagrams that may get lost.

``python -m dslab.echo demo`` runs the five TCP servers side by side, with one client that is slow.

Source: ch. 3, Processes (Threads in distributed systems, Servers); ch. 4, Layered protocols and Sockets.
"""

__all__ = ["client", "messages", "protocol"]
