"""Who is measured in ``bench/rpc.py``: an echo server and its client, in each of several ways to call.

Each module has, for each of its ways, a function that serves (it prints ``listening on A``) and a client.
Servers and clients are processes of their own. A client drives its server in one of three manners (`drive`):

==========  ===============================================================================================
blocking    a call at a time; for n calls in flight n threads, each with a connection of its own
windows     the same; for n calls in flight n/2 requests in one write, while n/2 others are answered
tasks       asyncio; for n calls in flight n tasks on one connection
==========  ===============================================================================================

Values are sent as each way writes them: `drive.VALUES`. A peer's settings are its own defaults, but for pools
of threads, which are made large enough for 64 clients.
"""
