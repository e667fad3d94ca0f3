"""Loads what no engine should take, and what every engine should.  bad_images.py STATE-DIR PILEUS"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile

STATE, PILEUS = sys.argv[1], sys.argv[2]


def entry(name, data=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image(layers, diffs=None, config=None, manifest=None, tag="bad:latest"):
    """An archive of `docker save` with these layers."""
    if config is None:
        diffs = [digest(l) for l in layers] if diffs is None else diffs
        value = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
                 "rootfs": {"type": "layers", "diff_ids": diffs}}
        config = json.dumps(value).encode()
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    if manifest is None:
        manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    parts = [entry(name, data) for name, data in zip(names, layers)]
    return tar(*parts, entry("config.json", config), entry("manifest.json", json.dumps(manifest).encode()))


def load(data):
    done = subprocess.run(["docker", "load"], input=data, capture_output=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def held():
    """All that is on disk of images."""
    found = set()
    for folder in ["docker/blobs/sha256", "docker/incoming", "docker/partial", "layers"]:
        if os.path.isdir(os.path.join(STATE, folder)):
            found |= {folder + "/" + name for name in os.listdir(os.path.join(STATE, folder))}
    return found


def refused(what, data, words):
    before = held()
    code, said = load(data)
    if code == 0 or not any(w in said for w in ([words] if isinstance(words, str) else words)):
        sys.exit(f"{what}: code {code}, said {said!r} (wanted {words!r})")
    if held() != before:
        sys.exit(f"{what}: it left {held() ^ before}")
    print("refused:", what)


def taken(what, data, command, output):
    code, said = load(data)
    if code:
        sys.exit(f"{what}: said {said!r}")
    done = subprocess.run(["docker", "run", "--rm", "bad:latest", *command], capture_output=True, text=True)
    if done.stdout.strip() != output:
        sys.exit(f"{what}: {done.stdout!r} {done.stderr!r} is not {output!r}")
    print("taken:", what)


busybox = open("/bin/busybox", "rb").read()
base = tar(entry("bin", type=tarfile.DIRTYPE, mode=0o755), entry("bin/busybox", busybox, mode=0o755),
           entry("bin/sh", type=tarfile.SYMTYPE, linkname="busybox"), entry("hello", b"hello\n"))

# Compressions.
for name, packed in [("plain", base), ("gzip", gzip.compress(base)), ("bzip2", bz2.compress(base)),
                     ("xz", lzma.compress(base))]:
    taken(f"a layer with {name}", image([packed], [digest(base)]), ["/bin/busybox", "cat", "/hello"], "hello")
    whole = {"plain": lambda d: d, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}[name]
    taken(f"an archive with {name}", whole(image([base])), ["/bin/busybox", "cat", "/hello"], "hello")
for form in [["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
             ["--format=posix", "--sparse-version=1.0"]]:
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "sparse"), "wb") as f:
            for at in range(12):
                f.seek(at * 1_000_000)
                f.write(b"x%d" % at)
            f.truncate(20_000_000)
        want = hashlib.sha256(open(os.path.join(folder, "sparse"), "rb").read()).hexdigest()
        made = subprocess.run(["tar", "-C", folder, "-Sc", *form, "sparse"], capture_output=True, check=True).stdout
    taken(f"a sparse file {form}", image([base, made]), ["/bin/busybox", "sha256sum", "/sparse"], f"{want}  /sparse")

# What is no archive.
refused("garbage", b"garbage" * 1000, ["invalid archive", "invalid tar header"])
refused("nothing", b"", "does not contain a manifest.json")
refused("an empty archive", tar(entry("x", b"y")), "does not contain a manifest.json")
good = image([base])
refused("half an archive", good[: len(good) // 2], ["invalid archive", "unexpected EOF", "no such file"])
refused("half a gzip", gzip.compress(good)[: len(good) // 8], ["invalid archive", "unexpected"])
refused("a manifest that is none", tar(entry("manifest.json", b"{")), "manifest.json")
refused("a missing layer", image([base], manifest=[{"Config": "config.json", "RepoTags": None, "Layers": ["9/layer.tar"]}]),
        "no such file or directory")
refused("a configuration that is none", image([base], config=b"nonsense"), "invalid image configuration")
refused("too few digests", image([base], diffs=[]), "layers length mismatch")
refused("a wrong digest", image([base], diffs=[digest(b"other")]), "layer verification failed")
refused("a digest that is none", image([base], diffs=["md5:x"]), "invalid checksum digest format")
refused("another system", image([base], config=b'{"os":"windows","rootfs":{"diff_ids":["x"]}}'), "windows")
refused("a bad name", image([base], tag="UPPER:x"), "repository name must be lowercase")
refused("a broken layer above a good one", image([base, b"x" * 2000]), "invalid tar header")

# What would leave its layer.
outside = os.path.join(STATE, "escaped")
refused("..", image([tar(entry("../../../../../../../../.." + outside, b"x"))]), "leads out of the tree")
refused("a hard link out", image([tar(entry("l", type=tarfile.LNKTYPE, linkname="../../../etc/passwd"))]),
        "leads out of the tree")
refused("a hard link to nothing", image([tar(entry("l", type=tarfile.LNKTYPE, linkname="etc/passwd"))]), "not there")
refused("a name through a link that is none",
        image([tar(entry("d", type=tarfile.SYMTYPE, linkname="/nowhere"), entry("d/x", b"x"))]),
        "can't be made")
refused("a whiteout as a device", image([tar(entry("n", type=tarfile.CHRTYPE, devmajor=0, devminor=0))]), "0:0")
refused("a whiteout of nothing", image([tar(entry(".wh.", b""))]), "names nothing")
taken("an absolute link", image([base, tar(entry("d", type=tarfile.SYMTYPE, linkname=STATE),
                                            entry("made" + STATE, type=tarfile.DIRTYPE, mode=0o755))]),
      ["/bin/busybox", "readlink", "/d"], STATE)
taken("absolute names", image([base, tar(entry("/tmp/escaped-by-name", b"in"))]),
      ["/bin/busybox", "cat", "/tmp/escaped-by-name"], "in")
for escaped in [outside, "/tmp/escaped-by-name"]:
    if os.path.exists(escaped):
        sys.exit(f"{escaped} was made")

# What would fill the disk.
bomb = io.BytesIO()
with gzip.open(bomb, "wb", 9) as out:
    header = tarfile.TarInfo("zeros")
    header.size = 600 << 20
    out.write(header.tobuf(tarfile.GNU_FORMAT))
    for _ in range(600):
        out.write(bytes(1 << 20))
    out.write(bytes(1024))
refused("a layer larger than the disk", image([bomb.getvalue()], [digest(b"any")]), "o space left on device")
refused("an archive larger than the disk", gzip.compress(tar(entry("big", bytes(400 << 20))), 1), "o space left on device")
taken("an image after a full disk", image([base]), ["/bin/busybox", "cat", "/hello"], "hello")
checked = subprocess.run([PILEUS, "--state-dir", STATE, "docker", "fsck"], capture_output=True, text=True)
if checked.returncode:
    sys.exit(f"fsck: {checked.stdout}{checked.stderr}")
