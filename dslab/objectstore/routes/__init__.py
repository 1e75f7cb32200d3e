"""Everything of the interface but objects' bodies, by subject: each module is a FastAPI router.

1. ``operation``: how a request finds its route, and what a route is given.
2. ``buckets``: make, find, remove. ``settings``: their versioning, tags and ACLs.
3. ``lists``: keys and versions.
4. ``multipart``: uploads in parts.
5. ``properties``: an object's tags, ACL and attributes. ``deletes``: many objects at once.
6. ``forms``: uploads from a web page.
"""

from __future__ import annotations

from fastapi import APIRouter

from dslab.objectstore.routes import buckets, deletes, forms, lists, multipart, properties, settings


def routers() -> list[APIRouter]:
    """All routers. Of two routes that fit, the first is taken, so those for a subresource come first."""
    return [
        settings.router,
        multipart.router,
        properties.router,
        deletes.router,
        lists.router,
        forms.router,
        buckets.router,
    ]
