"""Steps 1.3 to 1.5, as tasks of one thread."""

import asyncio
import sys

from framing import Splitter, pack


async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client, from its first byte to its last."""
    splitter = Splitter()
    try:
        while piece := await reader.read(256 * 1024):
            for message in splitter.feed(piece):
                writer.write(pack(message + b"*"))
                await writer.drain()  # a client that does not read stops us here
    except (OSError, ValueError) as error:
        print("dropped a client:", error, file=sys.stderr)
        writer.transport.abort()
    finally:
        writer.close()


async def serve(host: str, port: str) -> None:
    """Every client, for ever."""
    async with await asyncio.start_server(attend, host, int(port), backlog=256) as server:
        await server.serve_forever()


def main() -> None:
    """Serve at the address on the command line."""
    asyncio.run(serve(*sys.argv[1].split(":")))


if __name__ == "__main__":
    main()
