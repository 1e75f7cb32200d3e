"""dslab: small, real, networked implementations of what a course on distributed systems teaches.

The mechanisms (``dslab.echo``, ...) are reading material: each is a package with the same file names.
``dslab.kit`` is everything around them: topologies, links with faults, traces, the grader, the command line.

Source: M. van Steen and A. S. Tanenbaum, *Distributed Systems*, 4th edition, chapters 1 to 4.
"""

__version__ = "0.1.0"
