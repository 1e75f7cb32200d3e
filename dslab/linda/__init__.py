"""Linda: a tuple space. Programs meet in the data, not in each other.

One program puts a tuple out (``out``); another reads (``rd``) or takes (``in``) one that matches a
template, and waits if there is none. Neither names the other (referential decoupling), and they need not
run at the same time (temporal decoupling).

Read in this order:

1. ``kinds``, ``values``: what a field may hold, what a template is, and when two values match.
2. ``messages``: what travels, byte by byte.
3. ``matching``, ``table``, ``deadlines``, ``store``: templates made ready, tuples indexed by every field.
4. ``clients``, ``waiting``: who is connected, and the blocked templates, indexed the other way round.
5. ``rendezvous``: where a tuple meets who waits for it. ``protocol``: the server as a state machine.
   ``nearest`` and ``report`` explain to a person why a program waits.
6. ``journal``: what makes a space survive a crash. ``server``: the asyncio shell around all of it, with a
   ``peer`` for each connection.
7. ``client`` and ``tuplespace``, ``aclient``: blocking and asyncio; ``calls``, ``transaction``,
   ``connection`` and ``aconnection`` are beneath them. The module ``linda`` beside this package is the one
   that the textbook's programs import.

What it costs, in a run of ``bench/linda.py`` on a virtual machine, all processes on one CPU: a round trip
of 19 (``rd``) to 22 (``in``) microseconds among 100 tuples, at most 1.11 times as long among a million, of
which an echo alone takes 14; 337 bytes a triple. Missed are 0.57 of redis-py's round trip (``out`` 0.63,
``rd`` 0.64; an echo 0.46), 0.40 of its hand-over through BLPOP (0.64; two echoes 0.39), an eleventh of
Rinda's hand-over (a ninth), and a keyed ``rd`` 500 (5,000) times as fast as Rinda's scan of 10,000 (100,000)
tuples: 341 (3,260; an echo 514 and 5,020).

``python -m dslab.linda server`` runs a space; ``out in rd ls watch waiting`` talk to it, in tuples as
`written` by people; ``demo`` lets the textbook's Bob, Alice and Chuck meet.

Source: ch. 2, Shared data spaces; D. Gelernter, "Generative communication in Linda", 1985.
"""

__all__ = ["aclient", "client", "messages", "protocol", "values"]
