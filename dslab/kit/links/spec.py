"""What a link is, and what it says about itself; and how both are written on the control channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from dslab.kit.address import Address
from dslab.kit.errors import UsageError

Transport = Literal["tcp", "udp"]
TRANSPORTS: tuple[Transport, ...] = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link: who talks to whom through it, and where.

    Attributes:
        name: ``source->target``; unique in its program.
        source: The service that connects.
        target: The service that is connected to.
        listen: Where the link listens; port 0 is any free port.
        upstreams: Where the target listens. Connection k goes to upstream k modulo their number.
        transport: ``tcp`` or ``udp``.
        framing: ``module:function`` that finds the messages in a stream; None where only bytes are known.
        describe: ``module:function`` that labels bytes for the trace; None for the default label.
    """

    name: str
    source: str
    target: str
    listen: Address
    upstreams: tuple[Address, ...]
    transport: Transport = "tcp"
    framing: str | None = None
    describe: str | None = None

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise UsageError(f"{self.name}: {self.transport!r} is no transport; there are tcp and udp.")
        if not self.upstreams:
            raise UsageError(f"{self.name}: a link needs at least one upstream.")


@dataclass(frozen=True, slots=True)
class LinkStats:
    """What one link has carried and done so far.

    Attributes:
        connections: TCP connections accepted, or UDP flows begun.
        open_connections: How many of them are open now.
        forward_bytes: Bytes that entered the link from its source.
        backward_bytes: Bytes that entered it from its target.
        forward_pieces: Messages (where the framing is known), datagrams or chunks of them.
        backward_pieces: The same, from the target.
        injected: How often each kind of fault really happened.
        faults: The faults that stand now, in words.
    """

    connections: int = 0
    open_connections: int = 0
    forward_bytes: int = 0
    backward_bytes: int = 0
    forward_pieces: int = 0
    backward_pieces: int = 0
    injected: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def spec_to_json(spec: LinkSpec) -> dict[str, Any]:
    """The form that `spec_from_json` reads."""
    return asdict(spec) | {"listen": str(spec.listen), "upstreams": [str(one) for one in spec.upstreams]}


def spec_from_json(fields: Any) -> LinkSpec:
    """Read a link from the control channel.

    Raises:
        UsageError: A field is missing, unknown or of the wrong type.
    """
    if not isinstance(fields, dict):
        raise UsageError("A link is described by an object.")
    try:
        texts = {key: value for key, value in fields.items() if key != "upstreams"}
        if not all(isinstance(text, str) or text is None for text in texts.values()):
            raise UsageError("The fields of a link are strings; upstreams is a list of them.")
        listen = Address.parse(texts.pop("listen"))
        upstreams = tuple(Address.parse(one) for one in fields["upstreams"])
        return LinkSpec(listen=listen, upstreams=upstreams, **cast("dict[str, Any]", texts))
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"This does not describe a link: {error}.") from error


def stats_from_json(fields: Mapping[str, Any]) -> LinkStats:
    """Read statistics from the control channel (written by `dataclasses.asdict`)."""
    return LinkStats(**{**fields, "faults": tuple(fields["faults"])})
