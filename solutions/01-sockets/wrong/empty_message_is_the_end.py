# caught by: test_empty_message
# replaces: message_server.py
# An empty message is false in Python, and so is None; but only one of them is the end.
import socket
import sys

from framing import receive_message, send_message


def answer_messages(connection):
    while message := receive_message(connection):
        send_message(connection, message + b"*")


def main():
    host, _, port = sys.argv[1].rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                answer_messages(connection)


if __name__ == "__main__":
    main()
