"""Step 2.2. The server stub: from a message to a procedure, and from what came of it to a reply.

Usage: python server_stub.py HOST:PORT FOLDER
"""

# BEGIN SOLUTION DELETE
import inspect

# END SOLUTION
import sys
import traceback
from collections.abc import Callable
from typing import Any

import reply_cache
from channel import Message, address_of, serve
from messages import RESPONSE
from objects import offered

# BEGIN SOLUTION DELETE
from references import meant_here, sent_from_here

# END SOLUTION

NO_SUCH_METHOD = [-32601, "Method not found", None]
BAD_ARGUMENTS = [-32602, "Invalid params", None]
RAISED = -32000

Outcome = tuple[Any, Any]
"""The error and the result of a call. One of them is None."""


class ServerStub:
    """Executes the calls that come.

    Attributes:
        objects: What it offers, by name. References are made to objects in here (step 2.3).
        cache: What it remembers of calls with an identity (step 2.4).
    """

    def __init__(self, objects: dict[str, object]) -> None:
        self.objects = objects
        self.cache = reply_cache.ReplyCache()

    def answer(self, message: Message) -> Message | None:
        """The reply to a message; None if it has none."""
        match message:
            case [0, int(number), "rpc.hello", []]:
                return [RESPONSE, number, None, self.cache.open()]
            case [0, int(number), str(method), list(params)]:
                return [RESPONSE, number, *self.execute(method, params)]
            case [0, int(number), str(method), list(params), [int(), int(), int(), *_] as identity]:
                outcome = self.cache.once(*identity[:3], lambda: self.execute(method, params))
                return [RESPONSE, number, *outcome] if outcome else None
            case [2, str(method), list(params)]:
                return self.take_notification(method, params)
            case _:
                return None

    def find(self, method: str) -> Callable[..., Any] | None:
        """The procedure that a name stands for, ``object.method``; None if there is none that is public."""
        # BEGIN SOLUTION step-2.2 "the object of that name, and its method, unless that is private"
        name, _, attribute = method.rpartition(".")
        if name not in self.objects or attribute.startswith("_"):
            return None
        found = getattr(self.objects[name], attribute, None)
        return found if callable(found) else None
        # END SOLUTION

    def execute(self, method: str, params: list[Any]) -> Outcome:
        """Call a procedure, whatever comes of it.

        Its arguments pass through `references.meant_here`, its result through `references.sent_from_here`.

        Errors are ``[code, message, data]``; for an exception, see `fault_of`.
        """
        # BEGIN SOLUTION step-2.2 "find it, check the arguments, call it; errors are outcomes, too"
        procedure = self.find(method)
        if procedure is None:
            return NO_SUCH_METHOD, None
        try:
            inspect.signature(procedure).bind(*params)
        except TypeError:
            return BAD_ARGUMENTS, None
        try:
            arguments = [meant_here(self.objects, value) for value in params]
            return None, sent_from_here(self.objects, procedure(*arguments))
        except Exception as error:  # noqa: BLE001
            return fault_of(error), None
        # END SOLUTION

    def take_notification(self, method: str, params: list[Any]) -> None:
        """Execute a one-way call (step 2.6)."""
        # BEGIN SOLUTION step-2.6 "execute it; nobody is told what came of it"
        self.execute(method, params)
        # END SOLUTION


def fault_of(error: Exception) -> list[Any]:
    """What travels of an exception: the name of its type, what it was made of, and where it came from."""
    arguments = [each if isinstance(each, str | int) else repr(each) for each in error.args]
    where = "".join(traceback.format_exception(error))
    data = {"type": type(error).__name__, "args": arguments, "traceback": where}
    return [RAISED, str(error), data]


def main() -> None:
    """Offer the lab's objects."""
    stub = ServerStub(offered(sys.argv[2]))
    serve(address_of(sys.argv[1]), stub.answer)


if __name__ == "__main__":
    main()
