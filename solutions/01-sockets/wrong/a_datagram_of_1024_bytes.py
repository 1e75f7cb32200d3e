# caught by: test_lost_datagrams
# replaces: udp_client.py
# recv(1024), as it was with TCP. But what of a datagram does not fit is lost: there is no rest to ask for.
import pathlib
import secrets
import socket
import struct
import sys
import time

HEADER = struct.Struct("!QB")
REQUEST, REPLY = 1, 2


def ask(channel, request_id, payload, timeout_s, tries):
    request = HEADER.pack(request_id, REQUEST) + payload
    header_of_reply = HEADER.pack(request_id, REPLY)
    for _ in range(tries):
        channel.send(request)
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            channel.settimeout(left_s)
            try:
                datagram = channel.recv(1024)
            except TimeoutError:
                break
            if datagram.startswith(header_of_reply):
                return datagram.removeprefix(header_of_reply)
    raise TimeoutError(f"no reply after {tries} tries")


host, _, port = sys.argv[1].rpartition(":")
first_id = secrets.randbits(63)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
    channel.connect((host, int(port)))
    for number, line in enumerate(pathlib.Path(sys.argv[2]).read_text().splitlines()):
        try:
            reply = ask(channel, first_id + number, line.encode(), float(sys.argv[3]), int(sys.argv[4]))
        except OSError:
            sys.exit("no reply")
        print(reply.decode())
