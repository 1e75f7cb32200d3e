"""The control channel of a links program, and its blocking client.

One TCP connection carries requests and replies in turn, each one line of JSON:

=======  =================================================================================
request  ``{"token": "...", "do": "apply", "name": "client->server", "fault": {...}}``
reply    ``{"ok": RESULT}``
reply    ``{"error": {"kind": "UsageError", "message": "...", "remedy": "..." or null}}``
=======  =================================================================================

==========  ======================================  ===========================================
``do``      other fields                            RESULT
==========  ======================================  ===========================================
``open``    ``spec`` (see `spec`)                   ``"host:port"``, where the link listens
``close``   ``name``                                null
``apply``   ``name``, ``fault`` (see `faults`)      null
``heal``    ``name``, or null for every link        null
``stats``   ``name``                                the fields of `LinkStats`
``links``                                           statistics by name
``begin``   ``path``, ``epoch_s``, ``seed`` or null null; from now on events go to that file
``end``                                             null; that file is complete
==========  ======================================  ===========================================

The token keeps programs under test, which can reach the port too, from healing or breaking their own links.
"""

from __future__ import annotations

import hmac
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import DslabError, KitError, MachineError, UsageError
from dslab.kit.links.spec import LinkSpec, LinkStats, spec_to_json, stats_from_json

MAX_LINE_BYTES = 64 * 1024
KINDS: Mapping[str, type[DslabError]] = {kind.__name__: kind for kind in (UsageError, MachineError, KitError)}


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as its line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode_request(line: bytes, token: str) -> dict[str, Any]:
    """The request on that line.

    Raises:
        UsageError: It is not a request, or does not carry the token.
    """
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError("A request is one line of JSON.") from error
    if not isinstance(request, dict) or not isinstance(request.get("do"), str):
        raise UsageError("A request is an object with a 'do'.")
    # Compared in constant time: the time that a refusal takes must not spell the token out.
    if not hmac.compare_digest(str(request.get("token")).encode(), token.encode()):
        raise UsageError("The token is wrong.")
    return request


def encode_error(error: DslabError) -> bytes:
    """The reply to a request that failed."""
    kind = next((name for name, kind in KINDS.items() if isinstance(error, kind)), "KitError")
    return encode({"error": {"kind": kind, "message": error.message, "remedy": error.remedy}})


def decode_reply(line: bytes) -> Any:
    """The result on that line.

    Raises:
        DslabError: The error that the links program reports.
        KitError: It is not a reply.
    """
    try:
        reply = json.loads(line)
        if "error" not in reply:
            return reply["ok"]
        error = reply["error"]
        raise KINDS[error["kind"]](error["message"], remedy=error["remedy"])
    except (ValueError, KeyError, TypeError) as error:
        raise KitError(f"The links program gave an answer that is none: {line[:80]!r}.") from error


class LinksClient:
    """Controls a links program. Blocking; threads may share it.

    Args:
        address: The program's control address.
        token: The program's token.
        timeout_s: How long one request may take.
    """

    def __init__(self, address: Address, token: str, *, timeout_s: float = 10.0) -> None:
        self.address = address
        self._token = token
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def open(self, spec: LinkSpec) -> Address:
        """Open a link.

        Returns:
            Where it listens, with its real port.
        """
        return Address.parse(self._request("open", spec=spec_to_json(spec)))

    def close(self, name: str) -> None:
        """Close a link and its connections."""
        self._request("close", name=name)

    def apply(self, name: str, fault: Mapping[str, Any]) -> None:
        """Let a link misbehave, from now until it is healed.

        Args:
            name: The link.
            fault: ``{"kind": "delay", "s": 0.2}`` and so on; see `faults`.
        """
        self._request("apply", name=name, fault=dict(fault))

    def heal(self, name: str | None = None) -> None:
        """End every fault of a link, or of all links."""
        self._request("heal", name=name)

    def stats(self, name: str) -> LinkStats:
        """What a link has carried and done so far."""
        return stats_from_json(self._request("stats", name=name))

    def links(self) -> dict[str, LinkStats]:
        """Every open link with its statistics."""
        return {name: stats_from_json(stats) for name, stats in self._request("links").items()}

    def begin(self, trace_path: Path | str, epoch_s: float, seed: int | None = None) -> None:
        """Record into that file from now on.

        Args:
            trace_path: The file, as the links program sees it.
            epoch_s: `time.time()` at the start of the run.
            seed: What faults are decided from, from now on; None leaves the program's.
        """
        self._request("begin", path=str(trace_path), epoch_s=epoch_s, seed=seed)

    def end(self) -> None:
        """Stop recording. The file is complete when this returns."""
        self._request("end")

    def disconnect(self) -> None:
        """Close the control connection; the next request opens it again."""
        with self._lock:
            self._hang_up()

    def __enter__(self) -> LinksClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    def _request(self, do: str, **fields: Any) -> Any:
        line = encode({"token": self._token, "do": do, **fields})
        with self._lock:
            try:
                reply = self._exchange(line)
            except TimeoutError as error:
                self._hang_up()
                raise KitError(
                    f"The links program did not answer {do!r} within {self._timeout_s:g} s."
                ) from error
            except OSError as error:
                self._hang_up()
                raise KitError(f"The links program at {self.address} is gone ({do}: {error}).") from error
            except BaseException:  # Ctrl-C while the reply was on its way
                self._hang_up()
                raise
        return decode_reply(reply)

    def _exchange(self, line: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(self.address.pair, self._timeout_s)
        self._socket.sendall(line)
        received = bytearray()
        while not received.endswith(b"\n"):
            part = self._socket.recv(65_536)
            if not part:
                raise ConnectionError("it closed the connection")
            received += part
        return bytes(received)

    def _hang_up(self) -> None:
        # A late reply must not be taken for the answer to the next request.
        if self._socket is not None:
            self._socket.close()
            self._socket = None
