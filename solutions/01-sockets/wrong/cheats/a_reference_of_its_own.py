# caught by: everything
# replaces: dslab/echo/__main__.py
# A package of the same name as ours, in the hope that the reference servers are taken from it.
import sys

print("listening on 127.0.0.1:7000", file=sys.stdout)
sys.exit(0)
