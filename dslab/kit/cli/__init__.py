"""The command line: one module per command, and nothing that another part of dslab could need.

Reading order: ``app``, ``commands`` (the table of them), ``failures`` (what happens to an exception),
``options`` (what several commands take), then any command.
"""
