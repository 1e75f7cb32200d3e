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
    """All routers. They are asked in this order, so what is asked for most comes first."""
    return [
        lists.router,
        buckets.router,
        multipart.router,
        deletes.router,
        properties.router,
        forms.router,
        settings.router,
    ]
