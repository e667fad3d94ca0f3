"""Every operation of the Engine API that is neither swarm's nor plugins', asked once: its status and the shape of what
it answers, against what the reference engine (20.10, API 1.41) answered (operations.json).

    operations.py SOCKET            checks, in every version from 1.41 to 1.51
    operations.py SOCKET --record   writes down what that engine answers

The engine must have the image `busybox`.
"""

import io
import json
import os
import re
import sys
import tarfile

from engine_http import Unix

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "operations.json")
# What later versions of the API have dropped, or leave out where it is empty.
DROPPED = {
    ".HostConfig.KernelMemory", ".HostConfig.KernelMemoryTCP", ".KernelMemory", ".KernelMemoryTCP", ".Container",
    ".ContainerConfig", ".VirtualSize", "[].VirtualSize", ".Images[].VirtualSize", ".BuilderSize", ".Error",
    ".ContainerdCommit.Expected", ".InitCommit.Expected", ".RuncCommit.Expected",
}
VERSIONS = ["1.41", "1.42", "1.43", "1.44", "1.45", "1.46", "1.47", "1.48", "1.49", "1.50", "1.51"]


def tar(name, data=b"content\n"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def shape(value):
    """A value's shape: types for leaves, all members of a list together, keys that are data as one."""
    if isinstance(value, dict):
        out = {}
        for key, v in value.items():
            data = re.search(r"[/0-9a-f]{12}|^\d+/|^(docker\.io|a|b|eth0|bridge|none|host|lo)$|\.", key)
            out["*" if data else key] = shape(v)
        return out
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return type(value).__name__


def differences(want, have, at=""):
    """What a client that knows the reference would miss."""
    if want == "NoneType" or have == "NoneType":
        return
    if isinstance(want, dict) and isinstance(have, dict):
        for key, inner in want.items():
            if key == "*":
                continue
            if key not in have:
                if f"{at}.{key}" not in DROPPED:
                    yield f"{at}.{key} is missing"
            else:
                yield from differences(inner, have[key], f"{at}.{key}")
    elif isinstance(want, list) and isinstance(have, list):
        if want and have:
            yield from differences(want[0], have[0], at + "[]")
    elif want != have and {want if isinstance(want, str) else "", have if isinstance(have, str) else ""} != {"int", "float"}:
        yield f"{at} is {have if isinstance(have, str) else type(have).__name__}, not {want if isinstance(want, str) else type(want).__name__}"


class Run:
    def __init__(self, path, version):
        self.path, self.version, self.answers = path, version, {}
        self.suffix = version.replace(".", "")

    def ask(self, method, path, body=None, raw=None, kind="application/json", head=None, stream=False):
        connection = Unix(self.path)
        headers = dict(head or {})
        data = raw if raw is not None else (None if body is None else json.dumps(body))
        if data is not None:
            headers["Content-Type"] = kind
        connection.request(method, f"/v{self.version}{path}", data, headers)
        answer = connection.getresponse()
        text = b"" if stream else answer.read()
        connection.close()
        return answer, text

    def step(self, operation, method, path, status, **more):
        answer, text = self.ask(method, path, **more)
        if answer.status != status:
            raise SystemExit(f"{self.version} {operation}: {answer.status}, not {status}: {text[:300]}")
        kind = answer.getheader("Content-Type", "")
        value = None
        if text and kind.startswith("application/json"):
            values = [json.loads(line) for line in text.splitlines() if line.strip()] if b"}\n{" in text.replace(b"\r", b"") else [json.loads(text)]
            value = values[-1]
            if operation in ("ImageCreate", "ImageBuild", "ImageLoad"):
                failed = [v for v in values if "error" in v]
                if failed:
                    raise SystemExit(f"{self.version} {operation}: {failed}")
                value = None
        self.answers[operation] = shape(value) if value is not None else "text" if text else "none"
        return value, answer, text

    def clean(self):
        for name in ("ops-a", "ops-b", "ops-c"):
            self.ask("DELETE", f"/containers/{name}?force=1&v=1")
        self.ask("DELETE", "/volumes/ops-v")
        self.ask("DELETE", "/networks/ops-n")
        for image in ("ops-image:1", "ops-image:2", "ops-built:1", "ops-imported:1"):
            self.ask("DELETE", f"/images/{image}?force=1")

    def all(self):
        self.clean()
        step = self.step
        # System
        step("SystemPing", "GET", "/_ping", 200)
        step("SystemPingHead", "HEAD", "/_ping", 200)
        step("SystemVersion", "GET", "/version", 200)
        step("SystemInfo", "GET", "/info", 200)
        step("SystemDataUsage", "GET", "/system/df", 200)
        step("SystemEvents", "GET", "/events?since=1&until=2", 200)
        # Volumes and networks
        step("VolumeCreate", "POST", "/volumes/create", 201, body={"Name": "ops-v", "Labels": {"a": "b"}})
        step("VolumeInspect", "GET", "/volumes/ops-v", 200)
        step("VolumeList", "GET", "/volumes?filters=%7B%22name%22%3A%5B%22ops-v%22%5D%7D", 200)
        step("NetworkCreate", "POST", "/networks/create", 201, body={"Name": "ops-n", "Labels": {"a": "b"}})
        step("NetworkInspect", "GET", "/networks/ops-n", 200)
        step("NetworkList", "GET", "/networks?filters=%7B%22name%22%3A%5B%22ops-n%22%5D%7D", 200)
        # Containers
        config = {
            "Image": "busybox", "Cmd": ["sh", "-c", "echo hello; exec sleep 1000"], "Labels": {"ops": "1"},
            "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000},
            "HostConfig": {"Binds": ["ops-v:/data"], "NetworkMode": "ops-n", "RestartPolicy": {"Name": "no"}},
        }
        made = step("ContainerCreate", "POST", "/containers/create?name=ops-a", 201, body=config)[0]
        step("ContainerStart", "POST", "/containers/ops-a/start", 204)
        again = self.ask("POST", "/containers/ops-a/start")[0].status
        assert again == 304, f"a second start: {again}"
        step("ContainerInspect", "GET", "/containers/ops-a/json?size=1", 200)
        step("ContainerList", "GET", "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22ops%3D1%22%5D%7D", 200)
        step("ContainerTop", "GET", "/containers/ops-a/top", 200)
        step("ContainerLogs", "GET", "/containers/ops-a/logs?stdout=1&stderr=1&tail=5", 200)
        step("ContainerStats", "GET", "/containers/ops-a/stats?stream=0", 200)
        step("ContainerArchiveInfo", "HEAD", "/containers/ops-a/archive?path=/etc", 200)
        step("ContainerArchive", "GET", "/containers/ops-a/archive?path=/etc", 200)
        step("PutContainerArchive", "PUT", "/containers/ops-a/archive?path=/tmp", 200, raw=tar("ops"), kind="application/x-tar")
        step("ContainerChanges", "GET", "/containers/ops-a/changes", 200)
        step("ContainerExport", "GET", "/containers/ops-a/export", 200)
        step("ContainerUpdate", "POST", "/containers/ops-a/update", 200, body={"CpuShares": 512})
        step("ContainerResize", "POST", "/containers/ops-a/resize?h=20&w=40", 200) if self.version != "1.41" else None
        run = {"Cmd": ["sh", "-c", "echo out; exit 3"], "AttachStdout": True, "AttachStderr": True}
        exec_id = step("ContainerExec", "POST", "/containers/ops-a/exec", 201, body=run)[0]["Id"]
        step("ExecStart", "POST", f"/exec/{exec_id}/start", 200, body={"Detach": False, "Tty": False})
        found = step("ExecInspect", "GET", f"/exec/{exec_id}/json", 200)[0]
        assert found["ExitCode"] == 3 and found["Running"] is False, found
        idle = {"Cmd": ["sleep", "100"], "Tty": True}
        exec_id = self.ask("POST", "/containers/ops-a/exec", body=idle)[1]
        exec_id = json.loads(exec_id)["Id"]
        self.step("ExecStartDetached", "POST", f"/exec/{exec_id}/start", 200, body={"Detach": True, "Tty": True})
        step("NetworkDisconnect", "POST", "/networks/ops-n/disconnect", 200, body={"Container": "ops-a"})
        step("NetworkConnect", "POST", "/networks/ops-n/connect", 200, body={"Container": "ops-a"})
        step("ContainerPause", "POST", "/containers/ops-a/pause", 204)
        step("ContainerUnpause", "POST", "/containers/ops-a/unpause", 204)
        step("ContainerRename", "POST", "/containers/ops-a/rename?name=ops-b", 204)
        step("ContainerRestart", "POST", "/containers/ops-b/restart?t=0", 204)
        step("ContainerKill", "POST", "/containers/ops-b/kill?signal=KILL", 204)
        done = step("ContainerWait", "POST", "/containers/ops-b/wait", 200)[0]
        assert done["StatusCode"] == 137, done
        stopped = self.ask("POST", "/containers/ops-b/stop")[0].status
        assert stopped == 304, f"stop of what is stopped: {stopped}"
        self.ask("POST", "/containers/ops-b/start")
        step("ContainerStop", "POST", "/containers/ops-b/stop?t=0", 204)
        attached = self.ask("POST", "/containers/ops-b/attach?logs=1&stream=0&stdout=1")
        assert attached[0].status == 200 and b"hello" in attached[1], attached
        # Images
        step("ImageCommit", "POST", "/commit?container=ops-b&repo=ops-image&tag=1&comment=c&author=a", 201, body={})
        step("ImageInspect", "GET", "/images/ops-image:1/json", 200)
        step("ImageList", "GET", "/images/json?filters=%7B%22reference%22%3A%5B%22ops-image%22%5D%7D", 200)
        step("ImageHistory", "GET", "/images/ops-image:1/history", 200)
        step("ImageTag", "POST", "/images/ops-image:1/tag?repo=ops-image&tag=2", 201)
        saved = step("ImageGet", "GET", "/images/ops-image:1/get", 200)[2]
        step("ImageGetAll", "GET", "/images/get?names=ops-image:1", 200)
        step("ImageLoad", "POST", "/images/load", 200, raw=saved, kind="application/x-tar")
        step("ImageDelete", "DELETE", "/images/ops-image:2", 200)
        step("ImageCreate", "POST", "/images/create?fromSrc=-&repo=ops-imported&tag=1", 200, raw=tar("f"), kind="application/x-tar")
        dockerfile = tar("Dockerfile", b"FROM busybox\nRUN echo built > /built\nCMD [\"cat\", \"/built\"]\n")
        step("ImageBuild", "POST", "/build?t=ops-built:1&rm=1", 200, raw=dockerfile, kind="application/x-tar")
        step("BuildPrune", "POST", "/build/prune", 200)
        step("ImagePrune", "POST", "/images/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D", 200)
        missing = self.ask("POST", "/images/ops-none:1/push", head={"X-Registry-Auth": "e30="})
        assert missing[0].status in (200, 404), missing
        # What goes
        step("ContainerDelete", "DELETE", "/containers/ops-b?v=1", 204)
        step("ContainerPrune", "POST", "/containers/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D", 200)
        step("VolumePrune", "POST", "/volumes/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D", 200)
        step("VolumeDelete", "DELETE", "/volumes/ops-v", 204)
        step("NetworkPrune", "POST", "/networks/prune?filters=%7B%22label%22%3A%5B%22none%22%5D%7D", 200)
        step("NetworkDelete", "DELETE", "/networks/ops-n", 204)
        # What there is none of
        step("PluginList", "GET", "/plugins", 200)
        step("SwarmInspect", "GET", "/swarm", 503)
        step("ContainerMissing", "GET", "/containers/ops-none/json", 404)
        step("ImageMissing", "GET", "/images/ops-none/json", 404)
        step("VolumeMissing", "GET", "/volumes/ops-none", 404)
        step("NetworkMissing", "GET", "/networks/ops-none", 404)
        step("ExecMissing", "GET", "/exec/ops-none/json", 404)
        assert re.fullmatch("[0-9a-f]{64}", made["Id"]), made
        self.clean()


def main():
    path = sys.argv[1]
    if "--record" in sys.argv:
        run = Run(path, "1.41")
        run.all()
        with open(RECORD, "w") as out:
            json.dump(run.answers, out, indent=1, sort_keys=True)
            out.write("\n")
        return
    with open(RECORD) as f:
        want = json.load(f)
    faults = []
    for version in VERSIONS:
        run = Run(path, version)
        run.all()
        for operation, expected in want.items():
            have = run.answers.get(operation)
            if have is None:
                continue
            faults += [f"{version} {operation}{d}" for d in differences(expected, have)]
    seen = sorted({re.sub(r"^\S+ ", "", f) for f in faults})
    if seen:
        raise SystemExit("operations: not as the reference answers:\n  " + "\n  ".join(seen))
    print(f"operations: {len(want)} in {len(VERSIONS)} versions")


main()
