# caught by: test_client_gives_up, test_client_keeps_its_deadline
# replaces: client_stub.py
# recv returns when something is there. Will something be there?
import builtins
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
from failures import REFUSALS, NoReply, RemoteError

class Stub:

    def __init__(self, client, name):
        self._client = client
        self._name = name

    def __getattr__(self, method):
        if method.startswith('_'):
            raise AttributeError(method)
        return lambda *params: self._client.call(f'{self._name}.{method}', *params)

class Client:

    def __init__(self, channel, timeout_s):
        self.channel = channel
        self.timeout_s = timeout_s
        self.ids = itertools.count(secrets.randbits(31))

    def stub(self, name):
        return Stub(self, name)

    def call(self, method, *params):
        sent = [references.sent_to_server(value) for value in params]
        response = self.exchange(self.identified([messages.REQUEST, next(self.ids), method, sent]))
        return references.got_from_server(self, result_of(response))

    def identified(self, request):
        return request

    def exchange(self, request):
        self.channel.send(request)
        while True:
            message = self.channel.receive(self.channel.deadline(3600))
            if message[:2] == [messages.RESPONSE, request[1]]:
                return message

def result_of(response):
    _, _, error, result = response
    if error is None:
        return result
    code, text, data = error
    if code in REFUSALS:
        raise REFUSALS[code](text)
    kind = vars(builtins).get(data['type'])
    if isinstance(kind, type) and issubclass(kind, Exception):
        raised = kind(*data['args'])
    else:
        raised = RemoteError(f"{data['type']}: {text}")
    raised.add_note(data['traceback'])
    raise raised

def run_script(client, script):
    kept: dict[str, Any] = {}
    for line in script.read_text(encoding='utf-8').splitlines():
        order = json.loads(line)
        owner, _, method = order['call'].rpartition('.')
        params = [kept[value[1:]] if str(value).startswith('$') else value for value in order['with']]
        try:
            result = getattr(kept.get(owner, client.stub(owner)), method)(*params)
        except NotImplementedError:
            raise
        except Exception as error:
            print(f'{type(error).__name__}: {error}', flush=True)
            print(where_raised(error), file=sys.stderr, flush=True)
            continue
        kept[order.get('as', '')] = result
        print(result if not isinstance(result, Stub) else 'a reference', flush=True)

def where_raised(error):
    if notes := getattr(error, '__notes__', []):
        return textwrap.indent(''.join(notes), 'over there: ')
    expected = type(error).__module__ == 'failures'
    return '' if expected else ''.join(traceback.format_exception(error))

def main():
    run_script(Client(Channel(address_of(sys.argv[1])), float(sys.argv[3])), Path(sys.argv[2]))
if __name__ == '__main__':
    main()
