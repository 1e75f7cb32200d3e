"""RPC: calling a procedure in another process, and being honest about failure.

A remote call looks like a local one until something breaks. Then the caller does not know whether the
procedure was executed, and no protocol can always tell it. This package is about what can be done: numbering
calls, sending them again, remembering replies, deadlines; and about saying what is known: each error answers
*did not happen*, *happened* or *unknown* (``error.happened``).

::

    from dslab.rpc.client import connect

    with connect("127.0.0.1:7000", codec="msgpack", timeout_s=5.0, semantics="at-most-once") as client:
        bank = client.proxy()
        bank.deposit("alice", 100)                # a call; exceptions come back as their own types
        client.call("deposit", "alice", 100)      # the same, spelled out
        later = client.begin("balance", "alice")  # deferred synchronous: later.done(), later.result()
        client.notify("log", "good night")        # one-way

The server is ``python -m dslab.rpc server --bind A --codec msgpack|json|json-http --object FILE.py:NAME``;
within a program, `server.serving` and a `service.Service`, in whose ``objects`` procedures are registered.

``error.happened`` is a `dslab.kit.errors.Happened`. What `Client.call` raises: `PeerRefused`, `PeerClosed`,
`PeerSilent` (dslab.kit.errors); `MalformedMessage`; `NoSuchMethod`, `BadArguments`, `TooLate`, `Busy`,
`SessionLost`, `ReplyForgotten`, `ReplyUnfit`, `RemoteError` (`errors` draws the tree); or what the procedure
raised, with the attribute ``remote_traceback``. A lab's compose file names ``dslab.rpc.wire:frames`` and
``dslab.rpc.wire:describe``, for every codec; or ``describe_steps``, which tells the step of an RPC that each
message is.

Read in this order:

1. ``messages``: what travels, in either representation. ``errors``: what may come instead of a result.
2. ``msgpack_rpc``, ``json_rpc``: the two representations (``codecs`` by name). ``byteorder``: why numbers are
   turned round on the way. ``inbox``: messages out of a stream of bytes.
3. ``protocol``: the client stub and the server stub, as state machines. ``reply_cache``: the memory of
   at-most-once; ``reply_log``: what makes it survive a crash.
4. ``objects``: the procedures of a server, and activation. ``interceptors``: what stands before them.
   ``service``: what all servers share.
5. ``client``: blocking, over a ``connection`` (or ``connection_http``) and with ``settings``; ``proxy``: a
   remote object's stand-in.
6. ``server``: asyncio; ``dispatch``: dispatcher and workers; ``server_threads``: a thread per connection;
   ``udp``, ``http``: other transports.
7. ``aclient``, ``threaded``: asynchronous RPC; ``multicast``: many servers at once.
8. ``references``: objects that stay where they are, leases, counts; ``registry``: finding a server by name.
9. ``interface``, ``stubs``: generated stubs; ``explain``: the ten steps; ``wire``: labels for pictures.

``python -m dslab.rpc demo`` shows the ten steps; ``server | client | registry | stubs`` are for use.

What it costs, by rows of ``bench/rpc.py`` on quiet virtual machines with two cores: a small call of the
blocking client to the server with threads takes 0.39 to 0.52 of the time of Pyro5's, and 1.17 to 1.32 times
that of bytes sent to and fro without any meaning (which is 0.30 to 0.43 of Pyro5's). With 64 calls in flight
the server on asyncio takes a sixtieth to a hundredth of the CPU time of Pyro5's for each, and 1.7 to 2.0
times that of a dozen lines of asyncio that check nothing. At-most-once makes a small call 1.3 to 1.5 times as
long, and 64 in flight 1.8 to 2.5 times.

Source: ch. 4, Remote procedure call; ch. 2, Object-based style; ch. 3, Servers; ch. 8, RPC semantics in the
presence of failures.
"""

__all__ = [
    "aclient",
    "client",
    "errors",
    "messages",
    "multicast",
    "protocol",
    "references",
    "registry",
    "server",
    "service",
    "threaded",
]
