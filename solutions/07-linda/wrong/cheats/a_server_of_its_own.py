# caught by: everything
# replaces: dslab/linda/__main__.py
# A package of the same name as ours, in the hope that the checks' tuple space is taken from it.
import sys

print("listening on 127.0.0.1:7070", file=sys.stdout)
sys.exit(0)
