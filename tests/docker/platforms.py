"""Pushes an index of images for amd64 and arm64, each of one empty layer.  platforms.py URL NAME"""

import hashlib
import io
import json
import sys
import tarfile
import urllib.request

ROOT, NAME = sys.argv[1], sys.argv[2]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def ask(method, url, data=None, media="application/octet-stream"):
    url = url if url.startswith("http") else ROOT + url
    request = urllib.request.Request(url, data, {"Content-Type": media}, method=method)
    return urllib.request.urlopen(request).headers


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(data, media):
    place = ask("POST", f"/v2/{NAME}/blobs/uploads/", b"")["Location"]
    ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest(data)}", data)
    return {"mediaType": media, "digest": digest(data), "size": len(data)}


all_of_it = []
for arch in ["arm64", "amd64"]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(arch)
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"hi"))
    layer = blob(out.getvalue(), "application/vnd.docker.image.rootfs.diff.tar")
    config = {"architecture": arch, "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [digest(out.getvalue())]}}
    config = blob(json.dumps(config).encode(), "application/vnd.docker.container.image.v1+json")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}).encode()
    ask("PUT", f"/v2/{NAME}/manifests/{digest(manifest)}", manifest, MANIFEST)
    all_of_it.append({"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest),
                      "platform": {"architecture": arch, "os": "linux"}})
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
index = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": all_of_it}).encode()
ask("PUT", f"/v2/{NAME}/manifests/latest", index, LIST)
