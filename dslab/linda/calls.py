"""What the blocking and the asyncio client share: how replies are read. No I/O.

Source: ch. 4, Remote procedure call (client stubs).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerError, PeerSilent, PeerViolation, UsageError
from dslab.linda.kinds import show_value
from dslab.linda.messages import (
    DEFAULT_ADDRESS,
    Blocked,
    Done,
    Found,
    FromServer,
    Listed,
    Nothing,
    Refused,
    WaitsFor,
)
from dslab.linda.values import Fields, Handle, from_wire, show, to_wire

DEFAULT_TIMEOUT_S = 10.0
MOST_PATIENCE_S = 1e9
MAX_REPLY_BYTES = 64 * 1024 * 1024


class RefusedError(PeerError):
    """The server will not do it: no such space, a wrong token. The message has its words."""

    happened = Happened.NO


class NoTuple(PeerSilent):
    """No tuple matched in the time given."""

    happened = Happened.NO


def where(address: Address | str | None) -> Address:
    """Give the server's address: the one given, else LINDA_ADDR's, else the default."""
    if isinstance(address, Address):
        return address
    return Address.parse(address or os.environ.get("LINDA_ADDR") or DEFAULT_ADDRESS)


def token_or_default(token: str | None) -> str:
    """Give the token: the one given, else what the file LINDA_TOKEN_FILE holds, else none."""
    if token is not None:
        return token
    path = os.environ.get("LINDA_TOKEN_FILE")
    return read_token(Path(path)) if path else ""


def read_token(path: Path) -> str:
    """Read the token that a file holds.

    Raises:
        UsageError: It holds none.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"Cannot read the token: {error.strerror}: {path}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} holds no token: it is not text in UTF-8.") from error
    if not token:
        raise UsageError(f"{path} holds no token.")
    return token


def number_of(reply: FromServer) -> int:
    """Read the reply to anything but a look for a tuple."""
    match reply:
        case Done():
            return reply.number
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def fields_of(reply: FromServer, space: Callable[[int], Handle]) -> Fields | None:
    """Read the reply to a look for a tuple: None for nothing.

    Args:
        reply: The reply.
        space: Makes the tuple spaces in it usable.
    """
    match reply:
        case Found():
            fields = from_wire(reply.fields)
            if fields is reply.fields:  # nothing in it that is made of parts
                return fields
            return tuple([with_spaces(field, space) for field in fields])
        case Nothing():
            return None
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def listed_of(reply: FromServer, space: Callable[[int], Handle]) -> tuple[list[Fields], int]:
    """Read the reply to a list: some tuples, and how many there are."""
    match reply:
        case Listed():
            tuples = [from_wire(fields) for fields in reply.tuples]
            return [tuple([with_spaces(field, space) for field in fields]) for fields in tuples], reply.total
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def blocked_of(reply: FromServer) -> tuple[list[WaitsFor], int]:
    """Read the reply to the question who waits: some of them, and how many there are."""
    match reply:
        case Blocked():
            return reply.waiters, max(reply.total, len(reply.waiters))
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def with_spaces(value: Any, space: Callable[[int], Handle]) -> Any:
    """Replace every handle in a value by a space that can be used."""
    kind = type(value)
    if kind is Handle:
        return space(value.number)
    if kind is tuple or kind is list:
        return kind([with_spaces(part, space) for part in value])
    return value


def no_tuple(template: Fields, timeout_s: float | None, transaction: object) -> NoReturn:
    """Say that nothing matched in the time given, or before the transaction was undone."""
    wanted = show(from_wire(to_wire(template, template=True), template=True))
    ends = [] if timeout_s is None else [f"within {timeout_s:g} s"]
    if transaction is not None:
        ends.append("before its transaction was undone")
    raise NoTuple(f"No tuple matched {wanted} {', or '.join(ends)}.")


def check_patience(timeout_s: float) -> None:
    """Check how long a server may take.

    Raises:
        UsageError: That is no time, or too long a one to be told to the kernel.
    """
    if not _is_number(timeout_s) or not 0 < timeout_s <= MOST_PATIENCE_S:
        raise UsageError(
            f"timeout_s is {show_value(timeout_s)}: "
            "how long the server may take is a number of seconds above 0.",
            remedy=f"The default is {DEFAULT_TIMEOUT_S:g}.",
        )


def check_duration(duration_s: float, name: str) -> None:
    """Check how long something is to last.

    Raises:
        UsageError: That is no time.
    """
    if not _is_number(duration_s) or not duration_s >= 0:  # NaN is neither
        raise UsageError(
            f"{name} is {show_value(duration_s)}, which is no number of seconds, or too long a one.",
            remedy="None is for ever.",
        )


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and value.bit_length() < 64
    return isinstance(value, float)


def unexpected(reply: FromServer) -> PeerViolation:
    """A reply that does not answer the request."""
    return PeerViolation(f"The server answered with {type(reply).__name__}, which is no answer to that.")
