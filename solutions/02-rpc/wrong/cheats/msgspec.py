# caught by: everything
# replaces: msgspec.py
# A module of the name of the library beneath our servers, in the hope that they import it.
import os

os._exit(0)
