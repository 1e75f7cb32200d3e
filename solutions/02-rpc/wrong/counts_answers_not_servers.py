# caught by: test_no_majority, test_errors_are_no_votes
# replaces: multicast.py
# Who is heard twice has two votes.
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from channel import Channel, Message, address_of
from client_stub import Client
from failures import NoReply
from messages import REQUEST, RESPONSE
Channels = Mapping[str, Channel]

class NoMajority(Exception):
    pass

def ask_all(channels, method, timeout_s):
    deadline_s = Channel.deadline(timeout_s)
    for channel in channels.values():
        channel.send([REQUEST, 1, method, []])
    waiting = dict(channels)
    while waiting and (arrived := Channel.receive_any(waiting, deadline_s)):
        name, message = arrived
        if message[:2] == [RESPONSE, 1]:
            yield (name, message)

def first(channels, method, timeout_s):
    for _, response in ask_all(channels, method, timeout_s):
        if response[2] is None:
            return response[3]
    raise NoReply('no server had a result')

def majority(channels, method, timeout_s):
    votes: list[Any] = []
    for _, response in ask_all(channels, method, timeout_s):
        if response[2] is None:
            votes.append(response[3])
            if votes.count(response[3]) > len(channels) / 2:
                return response[3]
    raise NoMajority(f'of {len(channels)} servers, {votes}')

def main():
    registry, how, timeout_s, *hosts = sys.argv[1:]
    addresses = dict((host.split('=') for host in hosts))
    members = Client(Channel(address_of(registry)), timeout_s=5.0).call('registry.members', 'ledger')
    group = {name: Channel(address_of(addresses[name])) for name in members}
    ask = {'first': first, 'majority': majority}[how]
    try:
        print(ask(group, 'ledger.balance', float(timeout_s)))
    except (NoReply, NoMajority) as error:
        sys.exit(f'{type(error).__name__}: {error}')
if __name__ == '__main__':
    main()
