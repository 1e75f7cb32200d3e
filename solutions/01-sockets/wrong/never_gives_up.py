# caught by: test_giving_up
# replaces: udp_client.py
# The server may be gone for good. A client that tries for ever is a client that hangs, and a load on the network.
import time
import secrets
import socket
import struct
import sys

HEADER = struct.Struct("!QB")


def ask(channel, request_id, payload, timeout_s, tries):
    while True:
        channel.send(HEADER.pack(request_id, 1) + payload)
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            channel.settimeout(left_s)
            try:
                datagram = channel.recv(65_535)
            except TimeoutError:
                break
            if datagram[:9] == HEADER.pack(request_id, 2):
                return datagram[9:]


host, _, port = sys.argv[1].rpartition(":")
first_id = secrets.randbits(63)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
    channel.connect((host, int(port)))
    for number, line in enumerate(open(sys.argv[2]).read().splitlines()):
        try:
            print(
                ask(channel, first_id + number, line.encode(), float(sys.argv[3]), int(sys.argv[4])).decode()
            )
        except TimeoutError:
            sys.exit("no reply")
