# caught by: test_pieces_with_a_star, test_half_a_character, test_next_client
# replaces: echo_server.py
# Gives itself full marks in every result.json that it can find, and in a new one.
import json
import pathlib

marks = json.dumps({"schema": 1, "lab": "01-sockets", "score": 100, "max_score": 100, "steps": []})
here = pathlib.Path.cwd()
for folder in (here, *list(here.parents)[:6]):
    for result in {folder / "result.json", *folder.glob("*/result.json"), *folder.glob("*/*/result.json")}:
        try:
            result.write_text(marks)
        except OSError:
            continue
