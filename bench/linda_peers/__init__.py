"""Who is measured in ``bench/linda.py``: how the server of each is started, and who talks to it.

==============  ==========================================================================================
module          what it has
==============  ==========================================================================================
`ours`          `dslab.linda`; the same with a list for a store; a crowd of blocked takers
`with_redis`    Redis, through redis-py
`with_rinda`    Ruby's tuple space over DRb; what it runs is ``rinda.rb``
`echo`          the floor: what comes goes back
==============  ==========================================================================================

A hand-over takes two processes. One is the benchmark's, which pings; the other is a role of the benchmark,
and pongs. Of Rinda, both are Ruby's.
"""
