# caught by: test_client_that_never_reads
# replaces: concurrent_server.py
# write() never blocks, it stores. Without drain() a client that does not read fills the server's memory.
import asyncio
import sys

from framing import MAX_MESSAGE_BYTES


async def attend(reader, writer):
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            if size > MAX_MESSAGE_BYTES:
                break
            message = await reader.readexactly(size)
            writer.write((size + 1).to_bytes(4, "big") + message + b"*")
    except (OSError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    async with await asyncio.start_server(attend, host, int(port), backlog=128) as server:
        await server.serve_forever()


asyncio.run(main())
