"""Step 7.5, as short as it gets."""

import sys

from toil import toil_of

import linda

linda.connect()
toil = toil_of(sys.argv[1])
while task := linda.universe._in(("task", linda.TupleSpace, int)):
    task[1]._out(("result", task[2], toil(task[2])))
