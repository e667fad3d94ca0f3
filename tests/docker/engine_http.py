"""HTTP over an engine's unix socket, for the tests: connections, one request, waiting for a condition."""

import http.client
import json
import socket
import time


class Unix(http.client.HTTPConnection):
    """A connection to the engine whose socket is at `path`."""

    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None, raw=None, media="application/json", timeout=60):
    """One request: its status, and its answer as JSON where it is some, otherwise as text. `body` is sent as JSON,
    `raw` as it is."""
    connection = Unix(path, timeout)
    data = raw if raw is not None else json.dumps(body) if body is not None else None
    headers = {"Content-Type": media} if data is not None and media else {}
    try:
        connection.request(method, target, data, headers)
        reply = connection.getresponse()
        text = reply.read()
    finally:
        connection.close()
    try:
        return reply.status, json.loads(text) if text else None
    except ValueError:
        return reply.status, text.decode("utf-8", "replace")


def until(what, condition, seconds=20):
    """Waits for `condition` to be true, and gives what it was."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
    return value
