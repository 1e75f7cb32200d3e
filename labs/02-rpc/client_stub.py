"""Step 2.2. The client stub: a remote call that looks like a local one, as long as nothing breaks.

Usage: python client_stub.py HOST:PORT CALLS TIMEOUT_S

CALLS is a file with a call in each line (README, *The script of the clients*). What comes of each is printed.
"""

import itertools
import json
import secrets
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import messages
import references
from channel import Channel, Message, address_of


class Stub:
    """Stands for a remote object: ``Stub(client, "calculator").divide(7, 2)`` calls "calculator.divide"."""

    def __init__(self, client: "Client", name: str) -> None:
        self._client = client
        self._name = name

    def __getattr__(self, method: str) -> Any:
        """A function that calls the remote method."""
        if method.startswith("_"):
            raise AttributeError(method)
        # TODO step 2.2: a function that takes any arguments, and calls the client
        raise NotImplementedError("lab 2, step 2.2")


class Client:
    """Makes calls, one after the other.

    Attributes:
        channel: Where the server is.
        timeout_s: How long to wait for a reply.
        ids: The ids of requests. They do not begin where those of another client do.
    """

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        self.channel = channel
        self.timeout_s = timeout_s
        self.ids = itertools.count(secrets.randbits(31))

    def stub(self, name: str) -> Stub:
        """What stands for the remote object of that name."""
        return Stub(self, name)

    def call(self, method: str, *params: Any) -> Any:
        """Call a remote procedure: what it returns. Raises what it raises, or one of the errors above."""
        sent = [references.sent_to_server(value) for value in params]
        response = self.exchange(self.identified([messages.REQUEST, next(self.ids), method, sent]))
        return references.got_from_server(self, result_of(response))

    def identified(self, request: Message) -> Message:
        """The request as it will be sent; in step 2.4 with the identity of the call."""
        return request

    def exchange(self, request: Message) -> Message:
        """Send a request, once, and wait for its response.

        Raises:
            NoReply: None came within `timeout_s`.
        """
        # TODO step 2.2: send it; receive until the response of the same id is there
        raise NotImplementedError("lab 2, step 2.2")


def result_of(response: Message) -> Any:
    """The result in a response, ``[RESPONSE, id, error, result]``; or raise its error.

    An error is ``[code, message, data]``. Its code may be one of the REFUSALS. Else it is an exception of the
    procedure, and the data are ``{"type": its name, "args": what it was made of, "traceback": text}``: raise
    it as its own type, made of its own arguments, if that is an Exception which every Python has; as a
    RemoteError that has its name and its message if not. (A SystemExit is no Exception: a server has no say
    in how long its client runs.) The text of the remote traceback goes along as a note.
    """
    # TODO step 2.2: no error: the result. A refusal. Else the exception, rebuilt
    raise NotImplementedError("lab 2, step 2.2")


def run_script(client: Client, script: Path) -> None:
    """Make the calls of a script, and print what comes of each."""
    kept: dict[str, Any] = {}
    for line in script.read_text(encoding="utf-8").splitlines():
        order = json.loads(line)
        owner, _, method = order["call"].rpartition(".")
        params = [kept[value[1:]] if str(value).startswith("$") else value for value in order["with"]]
        try:
            result = getattr(kept.get(owner, client.stub(owner)), method)(*params)
        except NotImplementedError:  # a step that is not written yet
            raise
        except Exception as error:  # noqa: BLE001  whatever a remote procedure raises
            print(f"{type(error).__name__}: {error}", flush=True)
            print(where_raised(error), file=sys.stderr, flush=True)
            continue
        kept[order.get("as", "")] = result
        print(result if not isinstance(result, Stub) else "a reference", flush=True)


def where_raised(error: Exception) -> str:
    """The traceback of an exception, the remote one where it has one; none for those in `failures`."""
    if notes := getattr(error, "__notes__", []):
        return textwrap.indent("".join(notes), "over there: ")
    expected = type(error).__module__ == "failures"
    return "" if expected else "".join(traceback.format_exception(error))


def main() -> None:
    """Make the calls of the script on the command line."""
    run_script(Client(Channel(address_of(sys.argv[1])), float(sys.argv[3])), Path(sys.argv[2]))


if __name__ == "__main__":
    import client_stub  # by its name, as `references` and others do: else there would be two classes Stub

    client_stub.main()
