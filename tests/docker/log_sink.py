"""What logs are sent to: writes whatever comes to a file, a line for each piece, as `NAME: repr`.

Usage: log_sink.py DIR: UDP 5514, 12201; TCP 5515, 12202, 24224; TLS 6514 (DIR/ck.pem); sockets DIR/dgram, DIR/stream.
To 24225 it answers as fluentd does that confirms.
"""

import os
import re
import socket
import ssl
import sys
import threading

DIR = sys.argv[1]
out = open(f"{DIR}/sunk", "a", buffering=1)


def bound(family, kind, address):
    listening = socket.socket(family, kind)
    if kind == socket.SOCK_STREAM:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    return listening


def datagrams(name, listening):
    while True:
        out.write(f"{name}: {listening.recv(70000)!r}\n")


def stream(name, connection, tls, confirm):
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        while data := connection.recv(70000):
            out.write(f"{name}: {data!r}\n")
            if confirm and (chunk := re.search(rb"\xa5chunk\xb8(.{24})", data, re.DOTALL)):
                connection.sendall(b"\x81\xa3ack\xb8" + chunk[1])
    except OSError as e:
        out.write(f"{name}: {e}\n")


def streams(name, listening, tls=None, confirm=False):
    listening.listen()
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=stream, args=(name, connection, tls, confirm), daemon=True).start()


HERE = "127.0.0.1"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{DIR}/ck.pem")
for path in ("dgram", "stream"):
    if os.path.exists(f"{DIR}/{path}"):
        os.unlink(f"{DIR}/{path}")
INET, UNIX, DGRAM, STREAM = socket.AF_INET, socket.AF_UNIX, socket.SOCK_DGRAM, socket.SOCK_STREAM
served = [
    (datagrams, "syslog-udp", bound(INET, DGRAM, (HERE, 5514))),
    (datagrams, "syslog-unixgram", bound(UNIX, DGRAM, f"{DIR}/dgram")),
    (datagrams, "gelf-udp", bound(INET, DGRAM, (HERE, 12201))),
    (streams, "syslog-tcp", bound(INET, STREAM, (HERE, 5515))),
    (streams, "syslog-unix", bound(UNIX, STREAM, f"{DIR}/stream")),
    (streams, "syslog-tls", bound(INET, STREAM, (HERE, 6514)), context),
    (streams, "gelf-tcp", bound(INET, STREAM, (HERE, 12202))),
    (streams, "fluentd", bound(INET, STREAM, (HERE, 24224))),
    (streams, "fluentd-ack", bound(INET, STREAM, (HERE, 24225)), None, True),
]
for serve, *args in served:
    threading.Thread(target=serve, args=args, daemon=True).start()
open(f"{DIR}/listening", "w").close()
threading.Event().wait()
