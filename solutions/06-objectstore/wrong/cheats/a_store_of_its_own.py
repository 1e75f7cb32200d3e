# caught by: everything
# replaces: dslab/objectstore/__main__.py
# A package of the same name as ours, in the hope that the store is taken from it.
import sys

print("listening on 127.0.0.1:8000", file=sys.stdout)
sys.exit(0)
