"""Step 2.2, with errors as exceptions until the last moment."""

import functools
import inspect
import sys
import traceback
from typing import Any

from channel import Message, address_of, serve
from objects import offered
from references import meant_here, sent_from_here
from reply_cache import ReplyCache


class Refusal(Exception):
    """Not executed."""


def find(objects: dict[str, object], method: str, params: list[Any]) -> functools.partial[Any]:
    """The procedure, with its arguments."""
    owner, dot, name = method.rpartition(".")
    public = {each for each in dir(objects.get(owner)) if each[0] != "_"} if owner in objects else set()
    if not dot or name not in public:
        raise Refusal(-32601, "Method not found")
    procedure = getattr(objects[owner], name)
    try:
        inspect.signature(procedure).bind(*params)
    except TypeError:
        raise Refusal(-32602, "Invalid params") from None
    return functools.partial(procedure, *(meant_here(objects, each) for each in params))


def execute(objects: dict[str, object], method: str, params: list[Any]) -> list[Any]:
    """Error and result."""
    try:
        return [None, sent_from_here(objects, find(objects, method, params)())]
    except Refusal as refusal:
        code, message = refusal.args
        return [[code, message], None]
    except Exception as error:  # noqa: BLE001  the caller's
        arguments = [each if isinstance(each, str | int | float) else str(each) for each in error.args]
        data = {"type": type(error).__name__, "args": arguments, "traceback": traceback.format_exc()}
        return [[-32000, str(error), data], None]


def answer(objects: dict[str, object], cache: ReplyCache, message: Message) -> Message | None:
    """The reply to a message."""
    if not message or not isinstance(message[0], int):
        return None
    kind, *rest = message
    if kind == 2:
        execute(objects, *rest)
        return None
    number, method, params, *identity = rest
    if method == "rpc.hello":
        return [1, number, None, cache.open()]
    work = functools.partial(execute, objects, method, params)
    outcome = cache.once(*identity[0][:3], work) if identity else work()
    return [1, number, *outcome] if outcome else None


if __name__ == "__main__":
    serve(address_of(sys.argv[1]), functools.partial(answer, offered(sys.argv[2]), ReplyCache()))
