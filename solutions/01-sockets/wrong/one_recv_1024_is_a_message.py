# caught by: test_message_in_pieces, test_joined_messages, test_large_message, test_client_in_mid_message, test_length_of_two_gigabytes, test_cut_off_message, test_half_closed_connection
# replaces: message_server.py
# It works with one small message at a time on a quiet machine, so it looks right for a long time.
# Answers by chance: it takes what one recv brings for a message.
import socket
import sys

from framing import send_message


def answer_messages(connection):
    while data := connection.recv(1024):
        message = data[4:]
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
