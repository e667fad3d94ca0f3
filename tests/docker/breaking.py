"""A proxy of a registry that breaks the first large answer off after so many bytes, or falls silent there
until SIGUSR1. It tells of the ranges that it is asked for.  breaking.py PORT UPSTREAM BYTES [stall]"""

import http.client
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, UPSTREAM, BYTES = (int(a) for a in sys.argv[1:4])
STALL = sys.argv[4:] == ["stall"]
broken, go = threading.Event(), threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: go.set())


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.path, self.headers.get("Range"), flush=True)
        upstream = http.client.HTTPConnection("127.0.0.1", UPSTREAM)
        names = ("Accept", "Range")
        upstream.request(self.command, self.path, headers={n: self.headers[n] for n in names if n in self.headers})
        reply = upstream.getresponse()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        sent = 0
        while data := reply.read(64 << 10):
            if sent + len(data) > BYTES and not broken.is_set():
                broken.set()
                self.wfile.write(data[: BYTES - sent])
                self.wfile.flush()
                print("stalled" if STALL else "broken", flush=True)
                if STALL:
                    go.wait()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(data)
            sent += len(data)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Proxy).serve_forever()
