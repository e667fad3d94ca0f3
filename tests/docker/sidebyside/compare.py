"""The same requests to the reference engine and to ours, and what differs.

    compare.py REFERENCE-SOCKET OUR-SOCKET [--write GUIDE]

Every difference is either explained in known.py or a failure. `--write` puts what is explained into the guide, between
its marks.
"""

import io
import json
import pathlib
import re
import sys
import tarfile
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import bad
import good
import known
from engine_http import ask, until

VERSION = "/v1.41"
SOCKETS = sys.argv[1:3]


def both(method, path, body=None, media="application/json"):
    """The two answers: the reference's, ours."""
    raw = body if isinstance(body, str) else None
    body = None if isinstance(body, str) else body
    for word, text in (("{now}", str(int(time.time()))), ("{exec}", "{exec}")):
        path = path.replace(word, text)
    answers = []
    for n, socket in enumerate(SOCKETS):
        at = path.replace("{exec}", execs[n]) if execs else path
        answers.append(ask(socket, method, VERSION + at, body, raw, media))
    return answers


def plain(value):
    """An answer's text without what is chance: ids, times, paths."""
    if isinstance(value, dict) and "message" in value:
        value = value["message"]
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    text = re.sub(r"[0-9a-f]{64}", "<id>", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "<id>", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", text).strip()


def words():
    """Bad requests: status and words."""
    for name, method, path, body, *media in bad.REQUESTS:
        theirs, ours = both(method, path, body, *media)
        a, b = (theirs[0], plain(theirs[1])), (ours[0], plain(ours[1]))
        for n, (status, answer) in enumerate((theirs, ours)):
            # What was taken after all goes again.
            if status == 201 and path.startswith("/containers/create"):
                ask(SOCKETS[n], "DELETE", f"{VERSION}/containers/{answer['Id']}?v=1")
        if a != b:
            yield name, f"{a[0]} {a[1][:300]}", f"{b[0]} {b[1][:300]}"


SAID = re.compile(r"Size|Count|Timeout|Signal|Mode|Driver|Type|Name$|Status|Scope|Kind|Action")


def by_place(entries):
    """Mounts and ports have no order."""
    place = lambda e: (e.get("Destination", ""), e.get("PrivatePort", 0), e.get("Type", ""))
    return sorted(entries, key=place) if isinstance(entries[0], dict) else entries


def shape(a, b, path=""):
    """Where two answers' shapes differ."""
    short = lambda v: json.dumps(v)[:90]
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if re.fullmatch("[0-9a-f]{64}", key):
                continue
            if key not in b:
                yield f"{path}.{key}", short(a[key]), "absent"
            elif key not in a:
                yield f"{path}.{key}", "absent", short(b[key])
            else:
                yield from shape(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        if a and b:
            a, b = by_place(a), by_place(b)
            yield from shape(a[0], b[0], path + "[0]")
        if bool(a) != bool(b) or len(a) != len(b) and len(a) < 3:
            yield path, f"{len(a)} entries", f"{len(b)} entries"
    elif type(a) is not type(b) and {type(a), type(b)} != {int, float}:
        yield path, short(a), short(b)
    elif a != b:
        chance = isinstance(a, str) and re.search(r"[0-9a-f]{12}|/|20\d\d|:", a + b)
        if isinstance(a, bool) or isinstance(a, str) and not chance or not a and SAID.search(path):
            yield path, short(a), short(b)


def shapes():
    """Good requests: status and shape."""
    for name, method, path, body in good.REQUESTS:
        theirs, ours = both(method, path, body)
        if theirs[0] != ours[0]:
            yield name, f"{theirs[0]} {plain(theirs[1])[:200]}", f"{ours[0]} {plain(ours[1])[:200]}"
            continue
        if name == "exec":
            execs.extend(answer["Id"] for _, answer in (theirs, ours))
        for at, a, b in shape(theirs[1], ours[1]):
            yield f"{name}: {at}", a, b


def built():
    """A context of one Dockerfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        text = b'FROM busybox\nENV A=b\nLABEL l=m\nEXPOSE 80\nRUN echo a >/a\nCMD ["sleep", "1"]\n'
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return out.getvalue()


execs = []
for socket in SOCKETS:
    good.set_up(lambda method, path, body=None, raw=None: ask(socket, method, VERSION + path, body, raw))
    status, answer = ask(socket, "POST", VERSION + "/build?t=built", raw=built(), media="application/x-tar")
    assert status == 200 and "Successfully built" in str(answer), answer
    healthy = lambda: ask(socket, "GET", VERSION + "/containers/runs/json")[1]["State"]["Health"]["Status"] == "healthy"
    until("the container is healthy", healthy)
found = [("words", *row) for row in words()] + [("shape", *row) for row in shapes()]
asked = len(bad.REQUESTS) + len(good.REQUESTS)
unexplained, explained = [], {}
for kind, name, theirs, ours in found:
    line = f"{kind} | {name} | {theirs} | {ours}"
    if known.chance(line):
        continue
    why = known.reason(line)
    if why:
        explained.setdefault(why, []).append(name)
    else:
        unexplained.append((name, theirs, ours))
for name, theirs, ours in unexplained:
    print(f"-- {name}\n   reference  {theirs}\n   ours       {ours}")
stale = [why for why in known.REASONS if why not in explained]
for why in stale:
    print(f"-- no longer so: {why}")
print(f"side by side: {asked} requests, {len(found)} differences, {len(found) - len(unexplained)} explained")
if "--write" in sys.argv:
    guide = pathlib.Path(sys.argv[sys.argv.index("--write") + 1])
    lines = [f"Written by `make side-by-side`: {asked} requests to Debian's Docker 20.10 and to this engine, as API 1.41.", "What differs, and why:", ""]
    for why in known.REASONS:
        if why in explained:
            lines += textwrap.wrap(why, 118, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    text = guide.read_text()
    start, end = "<!-- side by side -->\n", "<!-- end -->\n"
    head, rest = text.split(start)
    guide.write_text(head + start + "\n".join(lines) + "\n" + end + rest.split(end)[1])
sys.exit(1 if unexplained or stale else 0)
