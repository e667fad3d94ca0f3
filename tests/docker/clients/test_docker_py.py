"""docker-py's low-level client: every operation of the Engine API that isn't swarm's or plugins'."""

import io
import os
import socket as sockets
import tarfile
import threading
import time

import docker
import pytest
import websocket
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import EndpointConfig, Healthcheck, IPAMConfig, IPAMPool, Mount

from conftest import IMAGE, SOCKET, SEEN


def archive(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def test_system(api):
    assert api.ping() is True
    assert api.version()["MinAPIVersion"] == "1.24"
    info = api.info()
    assert info["OSType"] == "linux" and info["Driver"] and info["NCPU"] == os.cpu_count()
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    df = api.df()
    assert {"Images", "Containers", "Volumes", "BuildCache", "LayersSize"} <= df.keys()
    assert api.plugins() == []
    with pytest.raises(APIError) as e:
        api.inspect_swarm()
    assert e.value.status_code == 503


def test_events(api, name):
    c = api.create_container(IMAGE, "true", name=name)
    api.start(c)
    api.wait(c)
    seen = [e["Action"] for e in api.events(since=0, until=int(time.time()) + 1, decode=True, filters={"container": name})]
    assert [a for a in seen if a in ("create", "start", "die")] == ["create", "start", "die"]


def test_a_life(api, name):
    c = api.create_container(IMAGE, ["sh", "-c", "echo hello; exit 3"], name=name, labels={"a": "b"}, environment={"X": "y"})
    assert c["Warnings"] is None or c["Warnings"] == []
    assert [x["Names"] for x in api.containers(all=True, filters={"label": "a=b", "status": "created"})] == [["/" + name]]
    api.start(c)
    assert api.wait(c) == {"StatusCode": 3}
    assert api.logs(c) == b"hello\n"
    seen = api.inspect_container(name)
    assert seen["State"]["Status"] == "exited" and seen["State"]["ExitCode"] == 3
    assert "X=y" in seen["Config"]["Env"]
    api.rename(c, name + "-2")
    assert api.inspect_container(c)["Name"] == "/" + name + "-2"
    api.restart(c, timeout=1)
    api.wait(c)
    assert api.logs(c) == b"hello\nhello\n"
    api.remove_container(c)
    with pytest.raises(NotFound) as e:
        api.inspect_container(c)
    assert f"No such container: {c['Id']}" in str(e.value)


def test_running(api, running):
    assert api.logs(running, stdout=True, stderr=False) == b"out\n"
    assert api.logs(running, stdout=False, stderr=True) == b"err\n"
    titles = api.top(running)["Titles"]
    assert "PID" in titles and "CMD" in titles
    stats = api.stats(running, stream=False)
    assert stats["pids_stats"]["current"] >= 1 and stats["memory_stats"]["usage"] > 0 and "eth0" in stats["networks"]
    one, two = [s for s, _ in zip(api.stats(running, stream=True, decode=True), range(2))]
    assert two["precpu_stats"]["cpu_usage"]["total_usage"] == one["cpu_stats"]["cpu_usage"]["total_usage"]
    assert api.port(running, 80) is None
    api.pause(running)
    assert api.inspect_container(running)["State"]["Status"] == "paused"
    api.unpause(running)
    api.resize(running, 40, 100)
    api.update_container(running, mem_limit="64m", memswap_limit="128m")
    assert api.inspect_container(running)["HostConfig"]["Memory"] == 64 << 20
    api.kill(running, signal="SIGCONT")
    api.stop(running, timeout=5)
    api.stop(running)  # 304: already so
    assert api.inspect_container(running)["State"]["Running"] is False
    assert api.prune_containers(filters={"label": "no-such"})["ContainersDeleted"] in (None, [])
    assert api.prune_containers()["ContainersDeleted"] == [running]


def test_exec(api, running):
    e = api.exec_create(running, ["sh", "-c", "echo out; echo err >&2; pwd; id -u; exit 4"], workdir="/tmp", user="nobody", environment=["A=b"])
    assert api.exec_start(e, demux=True) == (b"out\n/tmp\n65534\n", b"err\n")
    seen = api.exec_inspect(e)
    assert seen["ExitCode"] == 4 and seen["Running"] is False and seen["ContainerID"] == running
    tty = api.exec_create(running, ["sh", "-c", "read x; stty size; echo got $x"], tty=True, stdin=True)
    stream = api.exec_start(tty, tty=True, socket=True)
    api.exec_resize(tty, height=33, width=77)
    stream._sock.sendall(b"word\n")
    out = b""
    while b"got word" not in out:
        more = stream._sock.recv(4096)
        assert more, out
        out += more
    assert b"33 77" in out
    stream.close()
    missing = api.exec_create(running, ["no-such-program"])
    assert b"executable file not found in $PATH" in api.exec_start(missing)
    assert api.exec_inspect(missing)["ExitCode"] == 127


def test_attach(api, name):
    c = api.create_container(IMAGE, "cat", name=name, stdin_open=True, tty=False)
    stream = api.attach_socket(c, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    api.start(c)
    stream._sock.sendall(b"through\n")
    stream._sock.shutdown(sockets.SHUT_WR)
    frame = b""
    while more := stream._sock.recv(4096):
        frame += more
    assert frame == b"\x01\0\0\0\0\0\0\x08through\n"
    assert api.wait(c)["StatusCode"] == 0
    assert api.attach(c, logs=True, stream=False) == b"through\n"


def test_attach_by_websocket(api, name):
    """docker-py's own websockets are for TCP only: the handshake by hand, as a browser has it."""
    c = api.create_container(IMAGE, ["sh", "-c", "read x; echo ws $x"], name=name, stdin_open=True, tty=True)
    api.start(c)
    raw = sockets.socket(sockets.AF_UNIX)
    raw.connect(SOCKET)
    ws = websocket.WebSocket()
    ws.connect(f"ws://localhost/v1.41/containers/{c['Id']}/attach/ws?stream=1&stdin=1&stdout=1", socket=raw)
    SEEN.add(("GET", "/containers/{id}/attach/ws"))
    ws.send("word\n")
    out = b""
    while b"ws word" not in out:
        more = ws.recv()
        out += more.encode() if isinstance(more, str) else more
    ws.close()


def test_files(api, running):
    assert api.put_archive(running, "/tmp", archive(a="one", b="two"))
    chunks, stat = api.get_archive(running, "/tmp/a")
    assert stat["name"] == "a" and stat["size"] == 3
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("a").read() == b"one"
    head = api.head(api._url("/containers/{0}/archive", running), params={"path": "/tmp/b"})
    assert head.status_code == 200 and "X-Docker-Container-Path-Stat" in head.headers
    with pytest.raises(NotFound):
        api.get_archive(running, "/nowhere")
    assert {"Path": "/tmp/a", "Kind": 1} in api.diff(running)
    with tarfile.open(fileobj=io.BytesIO(b"".join(api.export(running)))) as tar:
        assert "tmp/a" in [m.name.removeprefix("./") for m in tar]


def test_host_config(api, name):
    config = api.create_host_config(
        binds=["/etc:/host-etc:ro"],
        tmpfs={"/scratch": "size=1m"},
        mem_limit="32m",
        cap_drop=["ALL"],
        cap_add=["CHOWN"],
        extra_hosts={"there": "192.0.2.1"},
        ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=100)],
        sysctls={"net.ipv4.ip_forward": "1"},
        read_only=True,
        init=True,
        port_bindings={80: ("127.0.0.1", None)},
        dns=["192.0.2.53"],
    )
    c = api.create_container(IMAGE, ["sh", "-c", "ulimit -n; cat /etc/hosts /etc/resolv.conf; df /scratch; touch /x; sleep 100"], name=name, host_config=config, ports=[80], hostname="h")
    api.start(c)
    seen = api.inspect_container(c)
    port = seen["NetworkSettings"]["Ports"]["80/tcp"][0]
    assert port["HostIp"] == "127.0.0.1" and int(port["HostPort"]) > 0
    assert api.port(c, 80) == [port]
    api.kill(c)
    log = api.logs(c).decode()
    for text in ("100\n", "192.0.2.1\tthere", "nameserver 192.0.2.53", "/scratch", "Read-only file system"):
        assert text in log, log


def test_who_is_not_root(api, name, tmp_path):
    """Everything that the engine makes in a container is open to its users, as with the reference."""
    context = archive(
        Dockerfile="FROM busybox\nWORKDIR /made/deep\nCOPY file /copied/deep/file\nRUN mkdir /ran && touch /ran/f\nUSER nobody\nRUN id -u >/tmp/id\n",
        file="text\n",
    )
    for step in api.build(fileobj=io.BytesIO(context), custom_context=True, tag=name, decode=True, rm=True):
        assert "error" not in step, step
    paths = "/ /made /made/deep /copied /copied/deep /copied/deep/file /ran /ran/f /etc/hosts /etc/hostname /etc/resolv.conf /volume /bound /mounted /mounted/at /work /work/dir /dev/null /dev/shm"
    config = api.create_host_config(binds=[f"{name}:/volume", f"{tmp_path}/new/dir:/bound"], tmpfs={"/mounted/at": ""})
    c = api.create_container(name, ["sh", "-c", f"id -u; umask; cat /etc/hosts >/dev/null && stat -c '%a %n' {paths}"], host_config=config, working_dir="/work/dir")
    api.start(c)
    assert api.wait(c)["StatusCode"] == 0, api.logs(c)
    user, umask, *modes = api.logs(c).decode().splitlines()
    assert (user, umask) == ("65534", "0022")
    special = {"/copied/deep/file": "644", "/ran/f": "644", "/dev/null": "666", "/dev/shm": "1777", "/mounted/at": "1777"}
    wanted = [f"{special.get(p, '644' if p.startswith('/etc') else '755')} {p}" for p in paths.split()]
    assert modes == wanted
    api.remove_container(c)
    api.remove_image(name, force=True)


def test_health(api, name):
    check = Healthcheck(test=["CMD", "true"], interval=200_000_000, timeout=1_000_000_000, retries=1)
    c = api.create_container(IMAGE, ["sleep", "100"], name=name, healthcheck=check)
    api.start(c)
    for event in api.events(since=0, decode=True, filters={"container": name, "event": "health_status"}):
        assert event["Action"] == "health_status: healthy"
        break
    health = api.inspect_container(c)["State"]["Health"]
    assert health["Status"] == "healthy" and health["Log"][0]["ExitCode"] == 0


def test_images(api, name):
    assert IMAGE in [t for i in api.images() for t in i["RepoTags"] or []]
    seen = api.inspect_image(IMAGE)
    assert seen["Os"] == "linux" and seen["RootFS"]["Layers"]
    assert api.history(IMAGE)[0]["Id"] == seen["Id"]
    assert api.tag(IMAGE, name, "one")
    data = b"".join(api.get_image(f"{name}:one"))
    assert api.remove_image(f"{name}:one")[0]["Untagged"].endswith(f"{name}:one")
    assert any("Loaded image" in x.get("stream", "") for x in api.load_image(data))
    several = api.get(api._url("/images/get"), params={"names": [f"{name}:one", IMAGE]})
    assert several.status_code == 200 and len(several.content) >= len(data)
    api.remove_image(f"{name}:one")
    with pytest.raises(ImageNotFound) as e:
        api.inspect_image("no-such-image")
    assert "No such image: no-such-image:latest" in str(e.value)
    assert api.prune_images(filters={"dangling": True})["SpaceReclaimed"] >= 0
    with pytest.raises(APIError):
        api.search("anything")  # there is no Hub to ask


def test_import_and_commit(api, name):
    api.import_image_from_data(archive(file="content"), repository=name, tag="imported")
    assert f"{name}:imported" in api.inspect_image(f"{name}:imported")["RepoTags"]
    c = api.create_container(IMAGE, ["sh", "-c", "echo changed >/file"])
    api.start(c)
    api.wait(c)
    made = api.commit(c, repository=name, tag="committed", message="why", author="who", changes=["CMD cat /file"])
    seen = api.inspect_image(made["Id"])
    assert seen["Comment"] == "why" and seen["Author"] == "who"
    again = api.create_container(f"{name}:committed")
    api.start(again)
    api.wait(again)
    assert api.logs(again) == b"changed\n"
    api.remove_container(again)
    for tag in ("imported", "committed"):
        api.remove_image(f"{name}:{tag}", force=True)


def test_build(api, name):
    context = archive(Dockerfile="FROM busybox\nARG WHO\nCOPY file /file\nRUN echo $WHO >>/file\nCMD cat /file\n", file="text\n")
    steps = list(api.build(fileobj=io.BytesIO(context), custom_context=True, tag=name, buildargs={"WHO": "me"}, labels={"l": "1"}, decode=True, rm=True))
    assert any("Successfully built" in s.get("stream", "") for s in steps), steps
    c = api.create_container(name)
    api.start(c)
    api.wait(c)
    assert api.logs(c) == b"text\nme\n"
    failed = list(api.build(fileobj=io.BytesIO(archive(Dockerfile="FROM busybox\nRUN exit 9\n")), custom_context=True, decode=True, forcerm=True))
    assert failed[-1]["errorDetail"]["code"] == 9
    with pytest.raises(APIError) as e:
        list(api.build(fileobj=io.BytesIO(archive(Dockerfile="FROM busybox\nNONSENSE\n")), custom_context=True, decode=True))
    assert "unknown instruction: NONSENSE" in str(e.value)
    assert "SpaceReclaimed" in api.prune_builds()
    api.remove_container(c)
    api.remove_image(name, force=True)


def test_networks(api, name):
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet="172.31.90.0/24", gateway="172.31.90.1")])
    net = api.create_network(name, driver="bridge", ipam=ipam, labels={"l": "1"}, internal=True, check_duplicate=True)["Id"]
    with pytest.raises(APIError) as e:
        api.create_network(name, check_duplicate=True)
    assert e.value.status_code == 409
    assert [n["Id"] for n in api.networks(names=[name])] == [net]
    c = api.create_container(IMAGE, ["sleep", "100"], name=name)
    api.start(c)
    api.connect_container_to_network(c, net, ipv4_address="172.31.90.77", aliases=["other"])
    assert api.inspect_container(c)["NetworkSettings"]["Networks"][name]["IPAddress"] == "172.31.90.77"
    assert list(api.inspect_network(net)["Containers"]) == [c["Id"]]
    peer = api.create_container(
        IMAGE,
        ["nslookup", "other."],
        networking_config=api.create_networking_config({name: EndpointConfig(version=api._version)}),
    )
    api.start(peer)
    api.wait(peer)
    assert b"172.31.90.77" in api.logs(peer)
    with pytest.raises(APIError) as e:
        api.remove_network(net)
    assert "has active endpoints" in str(e.value)
    api.disconnect_container_from_network(c, net)
    api.remove_container(peer, force=True)
    assert api.prune_networks(filters={"label": "l=1"})["NetworksDeleted"] == [name]


def test_volumes(api, name):
    made = api.create_volume(name, labels={"l": "1"})
    assert made["Driver"] == "local" and api.inspect_volume(name)["Labels"] == {"l": "1"}
    assert [v["Name"] for v in api.volumes(filters={"label": "l=1"})["Volumes"]] == [name]
    config = api.create_host_config(mounts=[Mount("/data", name)])
    c = api.create_container(IMAGE, ["sh", "-c", "echo kept >/data/file"], host_config=config)
    api.start(c)
    api.wait(c)
    with pytest.raises(APIError) as e:
        api.remove_volume(name)
    assert e.value.status_code == 409 and "volume is in use" in str(e.value)
    api.remove_container(c)
    api.remove_volume(name)
    anonymous = api.create_container(IMAGE, "true", volumes=["/v"])
    api.remove_container(anonymous, v=False)
    assert len(api.prune_volumes()["VolumesDeleted"]) == 1
    answer = api.put(api._url("/volumes/{0}", "v"), json={})
    assert answer.status_code == 503  # cluster volumes are swarm's


def test_registry(api, name):
    registry = os.environ["REGISTRY"]
    repository = f"{registry}/{name}"
    api.tag(IMAGE, repository, "one")
    pushed = list(api.push(repository, tag="one", stream=True, decode=True))
    digest = next(x["aux"]["Digest"] for x in pushed if "aux" in x)
    api.remove_image(f"{repository}:one")
    pulled = list(api.pull(repository, tag="one", stream=True, decode=True))
    assert any("Status: Downloaded newer image" in x.get("status", "") for x in pulled), pulled
    assert api.inspect_distribution(f"{repository}:one")["Descriptor"]["digest"] == digest
    assert f"{repository}@{digest}" in api.inspect_image(f"{repository}:one")["RepoDigests"]
    with pytest.raises(NotFound):
        api.pull(f"{registry}/no-such", tag="one")
    assert api.login("user", "secret", registry=f"http://{registry}", reauth=True)
    api.remove_image(f"{repository}:one")


def test_starts_at_once(api):
    """Twenty containers from twenty threads: none is lost."""
    codes = []

    def one(n):
        c = api.create_container(IMAGE, ["sh", "-c", f"exit {n}"])
        api.start(c)
        codes.append((n, api.wait(c)["StatusCode"]))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(codes) == [(n, n) for n in range(20)]
