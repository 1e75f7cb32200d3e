"""Who is measured in ``bench/objectstore.py``: `servers` starts them, `lean` is their client.

Besides moto and nginx there is a floor, `bare`: uvicorn with an application of two lines that has one
answer. No store that is an ASGI application can go below what it takes.
"""
