"""What lab 6 gives: the shells around a server and a client, and storage. Nothing to fill in here.

Reading order: `messages` (what travels), `storage` and `errors` (where objects are kept), `server` and
`client` (HTTP around them), `documents` (XML), `remote` and `storage_node` (storage on another machine),
`object_file` (an object on a disk).
"""
