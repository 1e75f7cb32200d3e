"""Topologies: a compose file becomes running services, as local processes or as containers.

Read in this order: `spec` (what a file says), `interpolation` (``${SERVER_ADDR:-server:7000}``), `compose`
(the file to a spec, pure), `runfolder` (where a run leaves its files), `backend` (what a place to run in must
offer), `running` (`open_topology`) and `service` (the handles that checks use). Then one backend: `local`,
whose `keeper` sees to it that nothing outlives a run.

Nothing is imported here: the keeper starts from this package, and has to start fast.
"""
