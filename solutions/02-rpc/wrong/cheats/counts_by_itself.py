# caught by: test_at_least_once_counts_too_much, test_client_is_exact_under_loss, test_client_is_exact_under_delay, test_client_acknowledges, test_client_tries_so_often_and_no_more
# replaces: retrying.py
# The counter begins at 0, and adding is not difficult. Nothing crosses the link.
import json
import sys

total = 0
for line in open(sys.argv[2]):
    total += json.loads(line)["with"][0]
    print(total)
