# caught by: test_client_is_exact_under_loss, test_client_acknowledges, test_client_is_exact_under_delay
# replaces: retrying.py
# The server will know what it may forget.
import sys
from pathlib import Path
from typing import Any
import failures
from channel import Channel, Message, address_of
from client_stub import Client, run_script
from failures import NoReply
from messages import REQUEST, RESPONSE

class AtLeastOnce(Client):

    def __init__(self, channel, timeout_s, tries):
        super().__init__(channel, timeout_s)
        self.tries = tries

    def exchange(self, request):
        for _ in range(self.tries):
            self.channel.send(request)
            deadline_s = self.channel.deadline(self.timeout_s)
            while (message := self.channel.receive(deadline_s)) is not None:
                if message[:2] == [RESPONSE, request[1]]:
                    return message
        raise NoReply(f'no reply, though it was sent {self.tries} times')

class AtMostOnce(AtLeastOnce):
    session = 0
    number = 0

    def call(self, method, *params):
        try:
            return super().call(method, *params)
        except failures.SessionLost:
            self.session = 0
            raise

    def identified(self, request):
        if not self.session:
            greeting = self.exchange([REQUEST, next(self.ids), 'rpc.hello', []])
            self.session, _window = greeting[3]
        self.number += 1
        return [*request, [self.session, self.number, 1]]

def client_of(address, semantics, timeout_s, tries):
    kind = {'at-least-once': AtLeastOnce, 'at-most-once': AtMostOnce}[semantics]
    return kind(Channel(address_of(address)), timeout_s, tries)

def main():
    address, script, semantics, timeout_s, tries = sys.argv[1:]
    run_script(client_of(address, semantics, float(timeout_s), int(tries)), Path(script))
if __name__ == '__main__':
    main()
