# caught by: test_one_way_client
# replaces: deferred.py
# A call is a call. It throws the response away, but first it waits for it.
import json
import sys
from pathlib import Path
from typing import Any
from channel import Channel, Message, address_of
from client_stub import Client, result_of
from failures import NoReply
from messages import NOTIFICATION, REQUEST, RESPONSE

class DeferringClient(Client):

    def __init__(self, channel, timeout_s):
        super().__init__(channel, timeout_s)
        self.responses: dict[int, Message] = {}

    def begin(self, method, *params):
        number = next(self.ids)
        self.channel.send([REQUEST, number, method, list(params)])
        return number

    def fetch(self, number):
        return result_of(self.response_to(number))

    def response_to(self, number):
        deadline_s = self.channel.deadline(self.timeout_s)
        while number not in self.responses:
            message = self.channel.receive(deadline_s)
            if message is None:
                raise NoReply('no reply in time')
            if message[0] == RESPONSE:
                self.responses[message[1]] = message
        return self.responses.pop(number)

    def notify(self, method, *params):
        self.fetch(self.begin(method, *params))

def main():
    address, script, how, timeout_s = sys.argv[1:]
    client = DeferringClient(Channel(address_of(address)), float(timeout_s))
    orders = [json.loads(line) for line in Path(script).read_text(encoding='utf-8').splitlines()]
    if how == 'one-way':
        for order in orders:
            client.notify(order['call'], *order['with'])
        return
    begun = [client.begin(order['call'], *order['with']) for order in orders]
    print(f'{len(begun)} calls are under way', flush=True)
    for number in reversed(begun):
        print(client.fetch(number), flush=True)
if __name__ == '__main__':
    main()
