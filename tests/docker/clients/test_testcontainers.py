"""testcontainers: containers for the length of a test, as users' suites have them."""

import urllib.request

from testcontainers.core.container import DockerContainer
from testcontainers.core.image import DockerImage
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from conftest import IMAGE

PAGE = "echo page >/index.html; echo serving; exec httpd -f -p 80 -h /"


def test_a_port_and_a_log():
    with DockerContainer(IMAGE).with_command(["sh", "-c", PAGE]).with_exposed_ports(80).with_env("A", "b").waiting_for(
        LogMessageWaitStrategy("serving")
    ) as c:
        url = f"http://{c.get_container_host_ip()}:{c.get_exposed_port(80)}/index.html"
        assert urllib.request.urlopen(url, timeout=10).read() == b"page\n"
        code, out = c.exec(["sh", "-c", "echo $A"])
        assert (code, out) == (0, b"b\n")


def test_a_network(api):
    with Network() as net:
        with DockerContainer(IMAGE).with_command(["sh", "-c", PAGE]).with_network(net).with_network_aliases("web").waiting_for(
            LogMessageWaitStrategy("serving")
        ):
            with DockerContainer(IMAGE).with_command(["wget", "-qO-", "http://web/index.html"]).with_network(net) as peer:
                assert api.wait(peer.get_wrapped_container().id)["StatusCode"] == 0
                assert peer.get_logs()[0] == b"page\n"


def test_a_build(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCMD echo built\n")
    with DockerImage(path=tmp_path, tag="t-built:latest") as image:
        with DockerContainer(str(image)).waiting_for(LogMessageWaitStrategy("built")) as c:
            assert c.get_logs()[0] == b"built\n"


def test_a_bind(tmp_path):
    (tmp_path / "file").write_text("content")
    with DockerContainer(IMAGE).with_command(["sh", "-c", "cat /d/file; echo; echo done"]).with_volume_mapping(str(tmp_path), "/d", "ro").waiting_for(
        LogMessageWaitStrategy("done")
    ) as c:
        assert c.get_logs()[0].startswith(b"content")
