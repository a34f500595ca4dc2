"""Prints every alert that Driftline's generic webhook delivers: the other end of docker-compose.yml.

The standard library alone, so that it runs anywhere: `python webhook_sink.py [PORT]`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink(BaseHTTPRequestHandler):
    """Answers 204 to every delivery, 200 to a look."""

    def do_GET(self) -> None:
        """Say that the sink is there."""
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        """Print one delivery."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            text = json.dumps(json.loads(body), indent=2)
        except ValueError:
            text = repr(body)
        sys.stdout.write(f"{self.headers.get('webhook-id', '-')}\n{text}\n")
        sys.stdout.flush()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  inherited
        """Say nothing: the deliveries themselves are the log."""


if __name__ == "__main__":
    address = ("", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    with ThreadingHTTPServer(address, Sink) as server:
        server.serve_forever()
