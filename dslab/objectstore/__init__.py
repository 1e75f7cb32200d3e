"""An object store with the interface of Amazon S3: buckets of objects, by HTTP.

REST in its plainest form. A resource has a name, ``/bucket/key``; four verbs do everything with it; each
request says all that the server needs to know; and after its answer the server has forgotten it. So two
servers may stand in front of one folder, and a client need not care which one it talks to.

Read in this order:

1. ``messages``: what is kept and handed out, and the interface as a table. ``errors``: what is refused.
2. ``protocol``: S3's rules as pure functions: names, ranges, conditions. ``checksums``, ``encryption`` and
   ``subresources`` beside it.
3. ``blobs``, ``contents``: bytes on a disk, safe from crashes. ``index``: which bytes are whose, and the
   instant at which a PUT happens. ``buckets``, ``versions``, ``uploads``, ``listing``: what it can be asked.
4. ``store``, ``multipart``: all of that together. No HTTP up to here.
5. ``auth`` (and ``auth_v2``, ``chunked``, ``policy``): signatures. ``access``: who may do what.
6. ``call``: a request. ``objects``, ``puts``, ``intake``, ``copies``: bodies in and out, at full speed.
7. ``routes``: everything else, with FastAPI. ``app`` and ``server`` serve it; ``connection`` sets limits, and
   has two faster ways, for small objects and known lists (``short``) and for large objects (``files``).
8. ``client``: the other way to see a service, as procedures: ``bucket.create("mybucket")``.

Where it is not as S3, it is so on purpose. All keys are of one account, and a credential may name any region.
ACLs are the canned ones; there are no policies, no encryption, no locks, no websites, and more that
``subresources`` names: who asks for them is refused, never overlooked. A key may have any parts, ``..`` too.
Too many tags are an InvalidTag, and a space in a list that is URL-encoded is ``%20``: on these two, clients
and suites of tests that go by S3 do not agree.

``bench/objectstore.py`` shows how fast it is beside other stores, and what of that was promised.

``python -m dslab.objectstore server --bind A --data DIR --key ID:SECRET`` runs one.

Source: ch. 2, Service-oriented architectures (RESTful architectures, Amazon S3); ch. 3, Servers.
"""

__all__ = ["client", "messages", "protocol", "store"]
