"""Topologies: a compose file becomes running services, as local processes or as containers.

Read in this order:

- the file: `spec` (what it says), `interpolation` (``${SERVER_ADDR:-server:7000}``), `compose` (the file to a
  spec, pure) with `lines`, `forms`, `roles` and `order`;
- what both backends share: `running` (`open_topology`), `service` and `link` (the handles that checks use),
  `wiring` (which links there are), `journal` (what is put on record), `runfolder` and `workfolder` (files),
  `backend` (what a place to run in must offer);
- the local backend: `local`, `local_process`, `local_health`, `addresses`, `listening`; and the keeper, which
  sees to it that nothing outlives a run: `keeper`, `keeper_client`, `processes`, `pump`;
- the Docker backend: the modules whose names begin with it.

Nothing is imported here: the keeper starts from this package, and has to start fast.
"""
