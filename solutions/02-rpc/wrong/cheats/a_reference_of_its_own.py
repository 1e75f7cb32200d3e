# caught by: everything
# replaces: reference.py
# A file of the same name as ours, in the hope that our servers are started from it.
import sys

sys.exit(0)
