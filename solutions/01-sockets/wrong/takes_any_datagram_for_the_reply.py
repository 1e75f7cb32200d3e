# caught by: test_reply_of_an_earlier_request, test_reply_after_retransmission
# replaces: udp_client.py
# Whatever comes is the reply. A late one is then the answer to the wrong question, and so is every one after it.
import secrets
import socket
import struct
import sys

HEADER = struct.Struct("!QB")


def ask(channel, request_id, payload, timeout_s, tries):
    channel.settimeout(timeout_s)
    for _ in range(tries):
        channel.send(HEADER.pack(request_id, 1) + payload)
        try:
            return channel.recv(65_535)[HEADER.size :]
        except TimeoutError:
            continue
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
