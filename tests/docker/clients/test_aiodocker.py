"""aiodocker: the asynchronous client, each of its kinds of object."""

import asyncio
import io
import os
import tarfile

import aiodocker
import pytest

from conftest import IMAGE


def run(body):
    """Runs a test's coroutine with a client of its own."""

    async def inside():
        async with aiodocker.Docker(os.environ["DOCKER_HOST"]) as docker:
            return await asyncio.wait_for(body(docker), 60)

    return asyncio.run(inside())


def test_system():
    async def body(docker):
        assert (await docker.version())["MinAPIVersion"] == "1.24"
        assert (await docker.system.info())["OSType"] == "linux"

    run(body)


def test_a_container(name):
    async def body(docker):
        c = await docker.containers.create_or_replace(name, {"Image": IMAGE, "Cmd": ["sh", "-c", "echo out; echo err >&2; exec sleep 100"], "Tty": False})
        await c.start()
        async for line in c.log(stdout=True, follow=True):
            assert line == "out\n"
            break
        assert [x.id for x in await docker.containers.list(filters={"name": [name]})] == [c.id]
        assert (await c.show())["State"]["Running"]
        assert (await c.stats(stream=False))[0]["pids_stats"]["current"] == 1
        await c.put_archive("/tmp", tar(a=b"text"))
        assert (await c.get_archive("/tmp/a")).extractfile("a").read() == b"text"
        exec = await c.exec(["cat", "/tmp/a"])
        async with exec.start() as stream:
            assert (await stream.read_out()).data == b"text"
        assert (await exec.inspect())["ExitCode"] == 0
        await c.pause()
        await c.unpause()
        await c.rename(name + "-2")
        await c.restart(timeout=1)
        await c.kill()
        assert (await c.wait())["StatusCode"] == 137
        image = await c.commit(repository=name, tag="x")
        assert image["Id"].startswith("sha256:")
        await c.delete(v=True)
        await docker.images.delete(f"{name}:x")
        with pytest.raises(aiodocker.DockerError) as e:
            await docker.containers.get(name)
        assert e.value.status == 404

    run(body)


def test_attach_before_start(name):
    async def body(docker):
        c = await docker.containers.create({"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True, "AttachStdout": True}, name=name)
        async with c.attach(stdin=True, stdout=True, stderr=True) as stream:
            await c.start()
            await stream.write_in(b"through\n")
            assert (await stream.read_out()).data == b"through\n"
        await c.kill()

    run(body)


def test_images_and_builds(name):
    async def body(docker):
        assert any(IMAGE in (i["RepoTags"] or []) for i in await docker.images.list())
        context = io.BytesIO(tar(Dockerfile=b"FROM busybox\nRUN echo built >/x\n"))
        lines = [x async for x in docker.images.build(fileobj=context, tag=name, encoding="identity", stream=True)]
        assert any("Successfully tagged" in x.get("stream", "") for x in lines), lines
        assert (await docker.images.history(name))[0]["CreatedBy"].endswith("echo built >/x")
        await docker.images.tag(name, repo=name, tag="two")
        async with docker.images.export_image(f"{name}:two") as stream:
            data = await stream.read() if hasattr(stream, "read") else b"".join([x async for x in stream])
        await docker.images.delete(f"{name}:two")
        [x async for x in docker.images.import_image(data, stream=True)]
        assert (await docker.images.inspect(f"{name}:two"))["Id"] == (await docker.images.inspect(name))["Id"]
        await docker.images.delete(f"{name}:two")
        await docker.images.delete(name, force=True)

    run(body)


def test_networks_and_volumes(name):
    async def body(docker):
        net = await docker.networks.create({"Name": name})
        c = await docker.containers.run({"Image": IMAGE, "Cmd": ["sleep", "100"]}, name=name)
        await net.connect({"Container": c.id, "EndpointConfig": {"Aliases": ["other"]}})
        assert c.id in (await net.show())["Containers"]
        await net.disconnect({"Container": c.id})
        await net.delete()
        volume = await docker.volumes.create({"Name": name})
        assert name in [v["Name"] for v in (await docker.volumes.list())["Volumes"]]
        assert (await volume.show())["Scope"] == "local"
        await volume.delete()
        await c.delete(force=True)

    run(body)


def test_events(name):
    async def body(docker):
        subscriber = docker.events.subscribe()
        c = await docker.containers.run({"Image": IMAGE, "Cmd": ["true"]}, name=name)
        seen = []
        while "die" not in seen:
            event = await subscriber.get()
            if event["Actor"]["ID"] == c.id:
                seen.append(event["Action"])
        assert seen[:1] == ["create"] and "start" in seen

    run(body)


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
