import linda

linda.connect()

blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]

t1 = blog._rd(("bob", "distsys", str))
t2 = blog._rd(("alice", "gtcn", str))
t3 = blog._rd(("bob", "gtcn", str))

for t in (t1, t2, t3):
    print(t[2])
