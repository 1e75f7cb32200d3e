# caught by: test_client_in_mid_message, test_reset_in_mid_message, test_cut_off_message, test_client_that_never_reads
# replaces: concurrent_server.py
# The tasks share one buffer, so half a message of one client is completed by another one.
# Answers by chance: its clients share a buffer, and who comes first is chance.
import asyncio
import sys

from framing import MAX_MESSAGE_BYTES

buffer = bytearray()


async def attend(reader, writer):
    try:
        while piece := await reader.read(65_536):
            buffer.extend(piece)
            while len(buffer) >= 4 and len(buffer) >= 4 + (size := int.from_bytes(buffer[:4], "big")):
                message = bytes(buffer[4 : 4 + size])
                del buffer[: 4 + size]
                writer.write((size + 1).to_bytes(4, "big") + message + b"*")
                await writer.drain()
            if len(buffer) >= 4 and int.from_bytes(buffer[:4], "big") > MAX_MESSAGE_BYTES:
                buffer.clear()
                break
    except OSError as error:
        print(error, file=sys.stderr)
    writer.close()


async def main():
    host, _, port = sys.argv[1].rpartition(":")
    async with await asyncio.start_server(attend, host, int(port), backlog=128) as server:
        await server.serve_forever()


asyncio.run(main())
