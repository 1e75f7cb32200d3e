"""Step 1.6, with an asyncio future for the reply that is waited for."""

import asyncio
import pathlib
import random
import struct
import sys


class Channel(asyncio.DatagramProtocol):
    """Hands each reply to whoever waits for its id; drops the others."""

    def __init__(self, timeout_s: float, tries: int) -> None:
        self.timeout_s, self.tries = timeout_s, tries
        self.waiting: dict[int, asyncio.Future[bytes]] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        """The socket is ready."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A datagram has come."""
        if len(data) >= 9:
            number, kind = struct.unpack_from("!QB", data)
            future = self.waiting.pop(number, None)
            if kind == 2 and future is not None and not future.done():
                future.set_result(data[9:])

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, for now: as good as lost."""

    async def ask(self, number: int, text: str) -> str:
        """One request, sent again until its reply is there."""
        reply = self.waiting[number] = asyncio.get_running_loop().create_future()
        for _ in range(self.tries):
            self.transport.sendto(struct.pack("!QB", number, 1) + text.encode())
            await asyncio.wait([reply], timeout=self.timeout_s)
            if reply.done():
                return reply.result().decode()
        sys.exit("no reply")


async def main() -> None:
    """Ask each line of the file."""
    address, file, timeout_s, tries = sys.argv[1:]
    host, port = address.split(":")
    _, channel = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Channel(float(timeout_s), int(tries)), remote_addr=(host, int(port))
    )
    number = random.SystemRandom().getrandbits(60)
    for line in pathlib.Path(file).read_text().splitlines():
        number += 1
        print(await channel.ask(number, line))
    channel.transport.close()


asyncio.run(main())
