"""Everything that is not a mechanism: topologies, links, traces, the grader and the command line.

The kit imports no mechanism; it starts programs and watches the wires between them. Floor by floor, each
importing only what is below it::

    cli         one module per group of commands
    authoring   for who makes a lab: skeletons, mutants, proofs, releases
    grader      one run of one lab's checks: rubric, pytest plugin, verdicts, reports
    topology    a compose file becomes running services, as local processes or as containers
    links       the proxies that carry, record and break every connection
    trace       what the links saw, and the picture of it
    errors, address, descriptors, disk, stopping
"""
