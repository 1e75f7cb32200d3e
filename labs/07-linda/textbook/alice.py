import linda

linda.connect()

blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]

blog._out(("alice", "gtcn", "This graph theory stuff is not easy"))
blog._out(("alice", "distsys", "I like systems more than graphs"))
