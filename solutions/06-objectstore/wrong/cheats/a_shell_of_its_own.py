# caught by: everything
# replaces: given/server.py
# The shell that is given could answer by itself, if it could be replaced.
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    stored = {}

    def do_PUT(self):
        self.stored[self.path] = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        data = self.stored.get(self.path)
        self.send_response(404 if data is None else 200)
        self.end_headers()
        self.wfile.write(data or b"")


def serve(address, answer):
    host, _, port = address.rpartition(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
