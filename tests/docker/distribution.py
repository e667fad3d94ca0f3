"""The points of OCI's distribution specification 1.1, asked of a registry with a user `demo`."""

import base64
import hashlib
import http.client
import json
import sys
from urllib.parse import quote, urlsplit

ROOT, PASSWORD = sys.argv[1], sys.argv[2]
AT = urlsplit(ROOT)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
token = None


def ask(method, path, body=None, headers=None, authorized=True):
    connection = http.client.HTTPConnection(AT.hostname, AT.port, timeout=30)
    headers = dict(headers or {})
    if authorized and token:
        headers["Authorization"] = f"Bearer {token}"
    if path.startswith("http"):
        parts = urlsplit(path)
        path = parts.path + ("?" + parts.query if parts.query else "")
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    data = reply.read()
    return reply.status, {k.lower(): v for k, v in reply.getheaders()}, data


def check(got, want, what):
    if got != want:
        sys.exit(f"{what}: {got!r} is not {want!r}")


def code(data):
    return json.loads(data)["errors"][0]["code"]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def log_in(user, password, scope):
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    path = f"/v2/token?service=pileus&scope={quote(scope)}"
    return ask("GET", path, headers={"Authorization": f"Basic {pair}"}, authorized=False)


def push(name, data):
    status, headers, _ = ask("POST", f"/v2/{name}/blobs/uploads/")
    check(status, 202, "an upload begins")
    join = "&" if "?" in headers["location"] else "?"
    status, headers, _ = ask("PUT", f"{headers['location']}{join}digest={digest(data)}", data)
    check(status, 201, "an upload ends")
    check(headers["docker-content-digest"], digest(data), "its digest")
    return {"mediaType": "application/octet-stream", "digest": digest(data), "size": len(data)}


# Who asks without a token is told where to get one.
status, headers, data = ask("GET", "/v2/")
check(status, 401, "without a token")
check(headers["www-authenticate"], f'Bearer realm="{ROOT}/v2/token",service="pileus"', "the challenge")
check(code(data), "UNAUTHORIZED", "its code")
check(headers["docker-distribution-api-version"], "registry/2.0", "the version")
status, headers, _ = ask("GET", "/v2/spec/tags/list")
check("scope=\"repository:spec:pull\"" in headers["www-authenticate"], True, "the scope")
status, _, data = log_in("demo", "wrong", "repository:spec:pull,push")
check((status, code(data)), (401, "UNAUTHORIZED"), "a wrong password")
status, _, data = log_in("demo", PASSWORD, "repository:spec:pull,push")
check(status, 200, "a token")
token = json.loads(data)["token"]
check(ask("GET", "/v2/")[0], 200, "with a token")

# Blobs: in one piece, in chunks, mounted; read whole and in part.
config = push("spec", b'{"architecture":"amd64","os":"linux"}')
content = bytes(range(256)) * 64
status, headers, _ = ask("POST", f"/v2/spec/blobs/uploads/?digest={digest(content)}", content)
check(status, 201, "in one request")
status, headers, _ = ask("POST", "/v2/spec/blobs/uploads/")
place = headers["location"]
first, second = b"a" * 1000, b"b" * 500
status, headers, _ = ask("PATCH", place, first, {"Content-Range": "0-999"})
check((status, headers["range"]), (202, "0-999"), "a chunk")
status, headers, _ = ask("PATCH", headers["location"], second, {"Content-Range": "5-504"})
check((status, headers["range"]), (416, "0-999"), "a chunk at the wrong place")
status, headers, _ = ask("GET", place)
check((status, headers["range"]), (204, "0-999"), "how far it is")
status, _, data = ask("PUT", f"{place}?digest={digest(b'other')}", second)
check((status, code(data)), (400, "DIGEST_INVALID"), "a wrong digest")
check(ask("GET", place)[0], 404, "an upload that failed is gone")
place = ask("POST", "/v2/spec/blobs/uploads/")[1]["location"]
place = ask("PATCH", place, first, {"Content-Range": "0-999"})[1]["location"]
status, _, _ = ask("PUT", f"{place}?digest={digest(first + second)}", second, {"Content-Range": "1000-1499"})
check(status, 201, "the last chunk")
layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(first + second), "size": 1500}
status, headers, data = ask("HEAD", f"/v2/spec/blobs/{layer['digest']}")
check((status, headers["content-length"], data), (200, "1500", b""), "HEAD of a blob")
status, headers, data = ask("GET", f"/v2/spec/blobs/{layer['digest']}", headers={"Range": "bytes=998-1001"})
check((status, data, headers["content-range"]), (206, b"aabb", "bytes 998-1001/1500"), "a part")
check(ask("GET", f"/v2/spec/blobs/{layer['digest']}", headers={"Range": "bytes=1500-"})[0], 416, "no such part")
place = ask("POST", "/v2/spec/blobs/uploads/")[1]["location"]
check(ask("DELETE", place)[0], 204, "an upload is given up")
check(ask("DELETE", place)[0], 404, "twice")
status, _, data = ask("GET", f"/v2/spec/blobs/{digest(b'nothing')}")
check((status, code(data)), (404, "BLOB_UNKNOWN"), "a blob that is not there")
status, headers, _ = ask("POST", f"/v2/spec2/blobs/uploads/?mount={layer['digest']}&from=spec")
check(status, 201, "a blob is mounted")
status, _, _ = ask("POST", f"/v2/spec2/blobs/uploads/?mount={digest(b'nothing')}&from=spec")
check(status, 202, "a blob that can't be mounted is uploaded")

# Manifests: by tag and digest; what they refer to must be there.
image = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}).encode()
for tag in ["b", "a", "c"]:
    status, headers, _ = ask("PUT", f"/v2/spec/manifests/{tag}", image, {"Content-Type": MANIFEST})
    check((status, headers["docker-content-digest"]), (201, digest(image)), "a manifest")
for reference in ["a", digest(image)]:
    status, headers, data = ask("GET", f"/v2/spec/manifests/{reference}", headers={"Accept": MANIFEST})
    check((status, data, headers["content-type"]), (200, image, MANIFEST), "a manifest by its name")
check(ask("HEAD", "/v2/spec/manifests/a")[1]["content-length"], str(len(image)), "HEAD of a manifest")
lost = json.dumps({"schemaVersion": 2, "config": config, "layers": [{**layer, "digest": digest(b"lost")}]}).encode()
status, _, data = ask("PUT", "/v2/spec/manifests/lost", lost, {"Content-Type": MANIFEST})
check((status, code(data)), (404, "MANIFEST_BLOB_UNKNOWN"), "a manifest of what is not there")
status, _, data = ask("PUT", "/v2/spec/manifests/bad", b"{", {"Content-Type": MANIFEST})
check((status, code(data)), (400, "MANIFEST_INVALID"), "a manifest that is none")
status, _, data = ask("PUT", f"/v2/spec/manifests/{digest(b'x')}", image, {"Content-Type": MANIFEST})
check((status, code(data)), (400, "DIGEST_INVALID"), "a manifest of another digest")
status, _, data = ask("GET", "/v2/spec/manifests/none")
check((status, code(data)), (404, "MANIFEST_UNKNOWN"), "a manifest that is not there")
status, _, data = ask("GET", "/v2/Spec/manifests/none")
check((status, code(data)), (400, "NAME_INVALID"), "a name that is none")
described = {"mediaType": MANIFEST, "digest": digest(image), "size": len(image)}
index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}).encode()
check(ask("PUT", "/v2/spec/manifests/index", index, {"Content-Type": INDEX})[0], 201, "an index")
check(ask("GET", "/v2/spec/manifests/index")[1]["content-type"], INDEX, "an index is itself")

# Lists.
check(json.loads(ask("GET", "/v2/spec/tags/list")[2]), {"name": "spec", "tags": ["a", "b", "c", "index"]}, "tags")
status, headers, data = ask("GET", "/v2/spec/tags/list?n=2")
check(json.loads(data)["tags"], ["a", "b"], "a page of tags")
check(headers["link"], '</v2/spec/tags/list?n=2&last=b>; rel="next"', "the next page")
check(json.loads(ask("GET", "/v2/spec/tags/list?n=2&last=b")[2])["tags"], ["c", "index"], "the last page")
status, _, data = ask("GET", "/v2/unheard/tags/list")
check((status, code(data)), (404, "NAME_UNKNOWN"), "tags of nothing")
check("spec" in json.loads(ask("GET", "/v2/_catalog")[2])["repositories"], True, "the catalog")

# Referrers.
note = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "text/note", "config": config, "layers": [],
        "subject": described, "annotations": {"k": "v"}}
note = json.dumps(note).encode()
status, headers, _ = ask("PUT", f"/v2/spec/manifests/{digest(note)}", note, {"Content-Type": MANIFEST})
check((status, headers["oci-subject"]), (201, digest(image)), "a manifest about another")
status, headers, data = ask("GET", f"/v2/spec/referrers/{digest(image)}")
found = json.loads(data)
check((headers["content-type"], found["mediaType"]), (INDEX, INDEX), "referrers are an index")
check(found["manifests"], [{"mediaType": MANIFEST, "digest": digest(note), "size": len(note),
                            "artifactType": "text/note", "annotations": {"k": "v"}}], "referrers")
status, headers, data = ask("GET", f"/v2/spec/referrers/{digest(image)}?artifactType=x")
check((headers["oci-filters-applied"], json.loads(data)["manifests"]), ("artifactType", []), "filtered")
check(json.loads(ask("GET", f"/v2/spec/referrers/{digest(b'x')}")[2])["manifests"], [], "no referrers")

# Deleting: a tag alone, a manifest with its tags; a blob that is in use stays.
check(ask("DELETE", f"/v2/spec/blobs/{layer['digest']}")[0], 409, "a blob in use")
check(ask("DELETE", "/v2/spec/manifests/c")[0], 202, "a tag goes")
check(json.loads(ask("GET", "/v2/spec/tags/list")[2])["tags"], ["a", "b", "index"], "the others stay")
for gone in [index, note, image]:
    check(ask("DELETE", f"/v2/spec/manifests/{digest(gone)}")[0], 202, "a manifest goes")
check(ask("GET", "/v2/spec/manifests/a")[0], 404, "with its tags")
check(ask("GET", f"/v2/spec/blobs/{layer['digest']}")[0], 404, "with its blobs")
check(ask("GET", f"/v2/spec2/blobs/{layer['digest']}")[0], 200, "which other repositories keep")
check(ask("DELETE", f"/v2/spec2/blobs/{layer['digest']}")[0], 202, "a blob goes")
check(ask("DELETE", f"/v2/spec/blobs/{digest(content)}")[0], 202, "a blob without a manifest goes")
print("distribution: passed")
