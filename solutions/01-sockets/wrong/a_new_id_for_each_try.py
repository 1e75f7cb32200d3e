# caught by: test_reply_after_retransmission
# replaces: udp_client.py
# Each transmission is a request of its own, so a reply that takes longer than the timeout never fits any more.
import time
import secrets
import socket
import struct
import sys

HEADER = struct.Struct("!QB")


def ask(channel, request_id, payload, timeout_s, tries):
    for _ in range(tries):
        request_id = secrets.randbits(63)
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
    raise TimeoutError


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
