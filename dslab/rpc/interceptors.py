"""Interceptors: code between the caller and the callee that neither knows of. Adaptable middleware.

An interceptor is a function of an invocation and of what comes after it::

    def timed(invocation, proceed):
        began_s = time.monotonic()
        try:
            return proceed(invocation)
        finally:
            print(invocation.method, time.monotonic() - began_s)

It may look, change the invocation, answer itself, or call ``proceed`` several times. The first of a list is
the outermost. The same function serves on both sides: ``interceptors`` of any client, and of
`objects.Objects`. At a server, what a coroutine function gives is still to be awaited. So it is at a client
where the caller does not wait: there ``proceed`` gives what ``begin`` does, a deferred reply or a future (or
None, of a one-way call), and has not failed yet. With asyncio an interceptor may be a coroutine function.

Here are `logging`, which writes a line for each call; `retrying`, which calls again what certainly did not
happen; `authenticating` and `authenticated`, which add and check a token: it travels as the first argument.

Source: ch. 2, Middleware organization (interceptors, wrappers); ch. 3, Client-side software.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from dslab.kit.errors import Happened, PeerError
from dslab.rpc.errors import NotAllowed, inner
from dslab.rpc.messages import Params

MEMBER_TOKEN = "dslab.token"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call, as an interceptor sees it.

    Attributes:
        method: What is called.
        params: What with: an array or a map.
        peer: At a server, who calls; None at a client.
    """

    method: str
    params: Params
    peer: Any = None


Proceed: TypeAlias = Callable[[Invocation], Any]
Interceptor: TypeAlias = Callable[[Invocation, Proceed], Any]


def chain(interceptors: Sequence[Interceptor], innermost: Proceed) -> Proceed:
    """Put interceptors around a call, the first outermost."""
    proceed = innermost
    for interceptor in reversed(interceptors):
        proceed = _around(interceptor, proceed)
    return proceed


def logging(write: Callable[[str], Any]) -> Interceptor:
    """Write a line for each call, with what came of it."""

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        try:
            result = proceed(invocation)
        except Exception as error:
            raised = inner(error)
            write(f"{invocation.method} raised {type(raised).__name__}: {raised}")
            raise
        write(f"{invocation.method} gave {result!r:.60}")
        return result

    return intercept


def retrying(times: int, pause: Callable[[int], Any]) -> Interceptor:
    """Call again what certainly did not happen: a server that was busy, or not there.

    Args:
        times: How often at most.
        pause: Waits before the n-th repetition: ``lambda n: time.sleep(2**n * rng.random())``.
    """

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        for repetition in range(1, times + 1):
            try:
                return proceed(invocation)
            except PeerError as error:
                if error.happened is not Happened.NO:
                    raise
            pause(repetition)
        return proceed(invocation)

    return intercept


def authenticating(token: str) -> Interceptor:
    """At a client: show a token with each call."""

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        params = invocation.params
        if isinstance(params, dict):
            return proceed(replace(invocation, params={MEMBER_TOKEN: token, **params}))
        return proceed(replace(invocation, params=[token, *params]))

    return intercept


def authenticated(token: str) -> Interceptor:
    """At a server: let nobody in who does not show the token. Whoever sees the wire sees it too (ch. 9)."""

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        params = invocation.params
        if isinstance(params, dict):
            rest: Params = {name: value for name, value in params.items() if name != MEMBER_TOKEN}
            shown = params.get(MEMBER_TOKEN)
        else:
            rest, shown = params[1:], params[0] if params else None
        if not isinstance(shown, str) or not hmac.compare_digest(shown.encode(), token.encode()):
            raise NotAllowed(f"{invocation.method} was called without the token")
        return proceed(replace(invocation, params=rest))

    return intercept


def _around(interceptor: Interceptor, proceed: Proceed) -> Proceed:
    return lambda invocation: interceptor(invocation, proceed)
