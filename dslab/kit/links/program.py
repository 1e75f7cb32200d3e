"""The links program: every link of a topology, and the server of the channel that controls them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import DslabError, KitError, MachineError, UsageError
from dslab.kit.links import faults
from dslab.kit.links.control import MAX_LINE_BYTES, decode_request, encode, encode_error
from dslab.kit.links.link import Link
from dslab.kit.links.spec import LinkSpec, spec_from_json
from dslab.kit.links.tap import Tap
from dslab.kit.links.tcp import ReadBuffer, TcpProxy
from dslab.kit.links.udp import UdpProxy

TOO_LONG = encode_error(UsageError(f"A request has at most {MAX_LINE_BYTES} bytes."))


class Program:
    """All links of a run. Everything here happens in one event loop.

    Args:
        seed: What faults are decided from.
        link_host: Where links listen, whatever their specification says; None leaves it to them.
        ports: The ports that links without one get, in turn; none means any free port.
    """

    def __init__(self, seed: int, *, link_host: str | None = None, ports: range = range(0)) -> None:
        self.seed = seed
        self.tap = Tap()
        self._link_host = link_host
        self._ports = ports
        self._proxies: dict[str, TcpProxy | UdpProxy] = {}
        self._buffer = ReadBuffer()
        self._changing = asyncio.Lock()

    async def open(self, spec: LinkSpec) -> Address:
        """Open a link and say where it listens."""
        if spec.name in self._proxies:
            raise UsageError(f"There is a link {spec.name!r} already.")
        link = Link(spec, self.tap, self.seed)
        proxy = TcpProxy(link, self._buffer) if spec.transport == "tcp" else UdpProxy(link)
        self._proxies[spec.name] = proxy
        try:
            return await self._listen(proxy, spec)
        except BaseException:
            await self.close(spec.name)
            raise

    async def _listen(self, proxy: TcpProxy | UdpProxy, spec: LinkSpec) -> Address:
        host = self._link_host or spec.listen.host
        choices = self._ports if self._ports and not spec.listen.port else [spec.listen.port]
        reason: OSError | None = None
        for port in choices:
            try:
                return await proxy.open(Address(host, port))
            except OSError as error:
                reason = error
        raise MachineError(f"{spec.name} cannot listen on {host}: {reason}.")

    async def close(self, name: Any) -> None:
        """Close a link and its connections."""
        proxy = self._proxy(name)
        del self._proxies[name]
        await proxy.close()

    async def apply(self, name: Any, fault: Any) -> None:
        """Let a link misbehave."""
        proxy, told = self._proxy(name), faults.from_json(fault)
        async with self._changing:
            proxy.link.apply(told)
            await proxy.strike(told)

    async def heal(self, name: Any) -> None:
        """End the faults of one link, or of all."""
        proxies = list(self._proxies.values()) if name is None else [self._proxy(name)]
        async with self._changing:
            for proxy in proxies:
                proxy.link.heal()
                await proxy.refresh()

    def end(self) -> None:
        """Complete the trace: what has not arrived yet, or is not whole, is on it too."""
        if self.tap.on:
            for proxy in self._proxies.values():
                proxy.put_on_record()
        self.tap.end()

    async def close_all(self) -> None:
        """Close every link, then the trace."""
        for name in list(self._proxies):
            await self.close(name)
        self.tap.end()

    def _proxy(self, name: Any) -> TcpProxy | UdpProxy:
        if not isinstance(name, str) or name not in self._proxies:
            known = ", ".join(self._proxies) or "none"
            raise UsageError(f"There is no link {name!r}; open are: {known}.")
        return self._proxies[name]

    async def carry_out(self, request: dict[str, Any]) -> Any:
        """Do what a request says.

        Returns:
            The result, as it is written on the control channel.
        """
        name = request.get("name")
        result: Any = None
        match request["do"]:
            case "open":
                result = str(await self.open(spec_from_json(request.get("spec"))))
            case "close":
                await self.close(name)
            case "apply":
                await self.apply(name, request.get("fault"))
            case "heal":
                await self.heal(name)
            case "stats":
                result = asdict(self._proxy(name).link.stats())
            case "links":
                result = {known: asdict(proxy.link.stats()) for known, proxy in self._proxies.items()}
            case "begin":
                self._begin(request)
            case "end":
                self.end()
            case unknown:
                raise UsageError(f"The links program cannot {unknown!r}.")
        return result

    def _begin(self, request: dict[str, Any]) -> None:
        path, epoch_s, seed = request.get("path"), request.get("epoch_s"), request.get("seed")
        if not isinstance(path, str) or not isinstance(epoch_s, int | float):
            raise UsageError("begin needs a path and epoch_s.")
        if isinstance(seed, int):
            self.seed = seed
            for proxy in self._proxies.values():
                proxy.link.seed = seed
        self.end()
        try:
            self.tap.begin(Path(path), epoch_s)
        except OSError as error:
            raise MachineError(f"{path} cannot be written: {error}.") from error


class ControlServer:
    """Answers requests to a program."""

    def __init__(self, program: Program, token: str) -> None:
        self._program = program
        self._token = token
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, listen: Address) -> Address:
        """Listen and say where."""
        self._server = await asyncio.start_server(self._converse, *listen.pair, limit=MAX_LINE_BYTES)
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer_all(reader, writer)
        finally:
            del self._open[task]
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        too_long = False
        while True:
            try:
                line = await reader.readuntil()
            except asyncio.LimitOverrunError as error:
                await reader.readexactly(error.consumed)  # and drop it; the line's end comes in a later turn
                too_long = True
                continue
            writer.write(TOO_LONG if too_long else await self._answer(line))
            too_long = False
            await writer.drain()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = decode_request(line, self._token)
            return encode({"ok": await self._program.carry_out(request)})
        except DslabError as error:
            return encode_error(error)
        except Exception as error:  # noqa: BLE001 - a bug in one request must not end the links of a run
            return encode_error(KitError(f"The links program failed: {error!r}."))


async def serve(
    program: Program, token: str, listen: Address, stop: asyncio.Event, on_ready: Callable[[Address], None]
) -> None:
    """Run a program and its control channel until `stop` is set; then close every link.

    Args:
        program: The program.
        token: What every request must carry.
        listen: Where the control channel listens.
        stop: Ends it.
        on_ready: Told where the control channel really listens.
    """
    control = ControlServer(program, token)
    on_ready(await control.open(listen))
    try:
        await stop.wait()
    finally:
        await control.close()
        await program.close_all()
