# caught by: test_client_prints_the_reply, test_reply_in_pieces
# replaces: echo_client.py
# The reply can be guessed, so why ask? Because the check looks at what crossed the link.
import sys

print(sys.argv[2] + "*")
