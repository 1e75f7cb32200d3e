"""Who is measured in ``bench/objectstore.py``: `servers` starts them, `lean` is their client.

Besides moto and nginx there is a floor, `bare`: uvicorn with an application of five lines that has one answer.
What it takes no store can go below that is an ASGI application.
"""
