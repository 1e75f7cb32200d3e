# caught by: test_client_pairs_replies, test_client_large_message
# replaces: message_client.py
# As above, with files. Nothing crosses the link.
import pathlib
import sys

for file in pathlib.Path(sys.argv[2]).glob("*.message"):
    file.with_suffix(".reply").write_bytes(file.read_bytes() + b"*")
