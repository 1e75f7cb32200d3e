"""Step 2.2, with partial functions for methods and a table of results."""

import builtins
import functools
import json
import pathlib
import random
import sys
import time
from typing import Any

import references
from channel import Channel, Message, address_of
from failures import REFUSALS, NoReply, RemoteError


class Stub:
    """A remote object."""

    def __init__(self, client: "Client", name: str) -> None:
        self._client, self._name = client, name

    def __getattr__(self, method: str) -> Any:
        """A remote method."""
        if method.startswith("_"):
            raise AttributeError(method)
        return functools.partial(self._client.call, self._name + "." + method)


class Client:
    """Calls over one channel."""

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        self.channel, self.timeout_s = channel, timeout_s
        self.last_id = random.SystemRandom().randrange(1 << 31)

    def stub(self, name: str) -> Stub:
        """A remote object."""
        return Stub(self, name)

    def next_id(self) -> int:
        """An id that no other request has."""
        self.last_id += 1
        return self.last_id

    def identified(self, request: Message) -> Message:
        """Nothing to add."""
        return request

    def call(self, method: str, *params: Any) -> Any:
        """One call."""
        request = [0, self.next_id(), method, [*map(references.sent_to_server, params)]]
        return references.got_from_server(self, result_of(self.exchange(self.identified(request))))

    def exchange(self, request: Message) -> Message:
        """One request, one response."""
        return self.transmit(request, self.timeout_s) or no_reply()

    def transmit(self, request: Message, timeout_s: float) -> Message | None:
        """Send, and wait for a while."""
        self.channel.send(request)
        until_s = time.monotonic() + timeout_s
        for message in iter(lambda: self.channel.receive(until_s), None):
            match message:
                case [1, number, _, _] if number == request[1]:
                    return message
        return None


def no_reply() -> Message:
    """Give up."""
    raise NoReply("nothing came")


def result_of(response: Message) -> Any:
    """A result, or an exception."""
    match response[2:]:
        case [None, result]:
            return result
        case [[code, message, _], _] if code in REFUSALS:
            raise REFUSALS[code](message)
        case [[_, message, {"type": name, "args": arguments, "traceback": where}], _]:
            known = {each.__name__: each for each in vars(builtins).values() if is_exception(each)}
            error = known[name](*arguments) if name in known else RemoteError(f"{name}: {message}")
            error.add_note(where)
            raise error


def is_exception(value: object) -> bool:
    """An ordinary type of exceptions."""
    return isinstance(value, type) and issubclass(value, Exception)


def run_script(client: Client, script: pathlib.Path) -> None:
    """The calls of a file."""
    kept: dict[str, Any] = {}
    for line in script.read_text(encoding="utf-8").splitlines():
        order = json.loads(line)
        owner, _, method = order["call"].rpartition(".")
        params = [kept[each[1:]] if str(each)[:1] == "$" else each for each in order["with"]]
        target = kept[owner] if owner in kept else client.stub(owner)
        try:
            result = getattr(target, method)(*params)
        except Exception as error:  # noqa: BLE001  whatever it is
            print(f"{type(error).__name__}: {error}")
            print("".join(getattr(error, "__notes__", [])), file=sys.stderr)
        else:
            kept[order.get("as", "")] = result
            print("a reference" if isinstance(result, Stub) else result)


if __name__ == "__main__":
    where, file, patience = sys.argv[1:]
    run_script(Client(Channel(address_of(where)), float(patience)), pathlib.Path(file))
