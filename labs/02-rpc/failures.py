"""What a client may get in place of a result or of an exception of the procedure. Nothing to be filled in."""


class NoReply(Exception):
    """No reply came in time. Whether the call was executed is not known."""


class RemoteError(Exception):
    """The procedure raised an exception of a type that is not known here."""


class NotExecuted(Exception):
    """The server says that it did not execute the call."""


class SessionLost(Exception):
    """The server does not know who calls, so it does not know whether it has executed the call."""


REFUSALS = {
    -32600: NotExecuted,  # not a request
    -32601: NotExecuted,  # no such method
    -32602: NotExecuted,  # other arguments
    -32002: NotExecuted,  # too much to do
    -32003: SessionLost,
}
"""The codes of errors that are not exceptions of the procedure."""
