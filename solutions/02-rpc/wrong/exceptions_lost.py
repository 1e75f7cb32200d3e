# caught by: test_server_passes_exceptions_on, test_references_come_home, test_server_keeps_errors_too
# replaces: server_stub.py
# The server must not die of an exception, so it catches it. The caller hears: no error, no result.
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any
import reply_cache
from channel import Message, address_of, serve
from messages import RESPONSE
from objects import offered
from references import meant_here, sent_from_here
NO_SUCH_METHOD = [-32601, 'Method not found', None]
BAD_ARGUMENTS = [-32602, 'Invalid params', None]
RAISED = -32000
Outcome = tuple[Any, Any]

class ServerStub:

    def __init__(self, objects):
        self.objects = objects
        self.cache = reply_cache.ReplyCache()

    def answer(self, message):
        match message:
            case [0, int(number), 'rpc.hello', []]:
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

    def find(self, method):
        name, _, attribute = method.rpartition('.')
        if name not in self.objects or attribute.startswith('_'):
            return None
        found = getattr(self.objects[name], attribute, None)
        return found if callable(found) else None

    def execute(self, method, params):
        procedure = self.find(method)
        if procedure is None:
            return (NO_SUCH_METHOD, None)
        try:
            inspect.signature(procedure).bind(*params)
        except TypeError:
            return (BAD_ARGUMENTS, None)
        try:
            arguments = [meant_here(self.objects, value) for value in params]
            return (None, sent_from_here(self.objects, procedure(*arguments)))
        except Exception:
            return (None, None)
        except BaseException as error:
            return (fault_of(error), None)

    def take_notification(self, method, params):
        self.execute(method, params)

def fault_of(error):
    arguments = [each if isinstance(each, str | int) else repr(each) for each in error.args]
    where = ''.join(traceback.format_exception(error))
    data = {'type': type(error).__name__, 'args': arguments, 'traceback': where}
    return [RAISED, str(error), data]

def main():
    stub = ServerStub(offered(sys.argv[2]))
    serve(address_of(sys.argv[1]), stub.answer)
if __name__ == '__main__':
    main()
