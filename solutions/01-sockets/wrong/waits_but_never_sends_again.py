# caught by: test_lost_datagrams, test_giving_up
# replaces: udp_client.py
# Waiting longer does not bring a lost datagram back.
import time
import secrets
import socket
import struct
import sys

HEADER = struct.Struct("!QB")


def ask(channel, request_id, payload, timeout_s, tries):
    channel.send(HEADER.pack(request_id, 1) + payload)
    deadline_s = time.monotonic() + timeout_s * tries
    while (left_s := deadline_s - time.monotonic()) > 0:
        channel.settimeout(left_s)
        datagram = channel.recv(65_535)
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
