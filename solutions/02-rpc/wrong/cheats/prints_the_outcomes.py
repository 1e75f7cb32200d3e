# caught by: test_at_least_once_and_a_crash, test_at_most_once_and_a_crash, test_outcomes_without_a_crash
# replaces: printing.py
# Three outcomes are easily guessed. But on the paper of the printer stands what was printed.
import sys

_, address, semantics, timeout_s, tries, method, text = sys.argv
if method != "printer.print":
    print("did not happen")
elif float(timeout_s) < 0.05 or semantics == "at-most-once" and float(timeout_s) < 0.2:
    print("unknown")
else:
    print("happened")
