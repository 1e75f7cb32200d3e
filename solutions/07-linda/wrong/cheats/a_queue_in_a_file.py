# caught by: test_queue_keeps_the_order
# replaces: coordination.py
# On one machine processes can meet in a file as well. A tuple space works on many.
import json
import pathlib
import tempfile


class Queue:
    def __init__(self, space, name):
        self.file = pathlib.Path(tempfile.gettempdir()) / f"queue-{name}"

    def create(self):
        self.file.write_text("[]")

    def put(self, item):
        self.file.write_text(json.dumps([*json.loads(self.file.read_text()), item]))

    def get(self):
        first, *others = json.loads(self.file.read_text())
        self.file.write_text(json.dumps(others))
        return tuple(first) if isinstance(first, list) else first
