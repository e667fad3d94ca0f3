"""What the clients' tests share: the engine's address, names that are free again after each test, and a
record of which operations of the API were called, for test_coverage."""

import os
import re
import uuid

import docker
import pytest
import requests

IMAGE = "busybox:latest"
SOCKET = os.environ["DOCKER_HOST"].removeprefix("unix://")
SEEN = set()

# Paths whose middle is a name: the name may hold slashes.
NAMED = [
    (r"/(containers|networks|volumes|exec)/[^/]+(/.*)?", r"/\1/{id}\2"),
    (r"/images/(?!json$|create$|search$|prune$|get$|load$).+?(/(json|history|push|tag|get))?", r"/images/{id}\1"),
    (r"/distribution/.+/json", r"/distribution/{id}/json"),
]
WHOLE = {"containers": ("json", "create", "prune"), "networks": ("create", "prune"), "volumes": ("create", "prune")}


def template(path):
    """The operation's path as the API's description has it."""
    path = re.sub(r"^/v[0-9.]+", "", path.split("?")[0])
    kind, _, rest = path.lstrip("/").partition("/")
    if rest in WHOLE.get(kind, ()):
        return path
    for pattern, form in NAMED:
        found = re.fullmatch(pattern, path)
        if found:
            return found.expand(form).removesuffix("None")
    return path


_send = requests.Session.send


def send(self, request, **kwargs):
    SEEN.add((request.method, template(request.path_url)))
    return _send(self, request, **kwargs)


requests.Session.send = send


@pytest.fixture(scope="session")
def api():
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto", timeout=60)
    yield client
    client.close()


@pytest.fixture
def name():
    return "t-" + uuid.uuid4().hex[:10]


@pytest.fixture(autouse=True)
def clean(api):
    """Each test leaves the engine as it was."""
    yield
    for c in api.containers(all=True):
        api.remove_container(c["Id"], force=True, v=True)
    for n in api.networks():
        if n["Name"].startswith("t-"):
            api.remove_network(n["Id"])
    for v in api.volumes()["Volumes"] or []:
        api.remove_volume(v["Name"], force=True)


@pytest.fixture
def running(api, name):
    """A container that runs until it is told to end."""
    c = api.create_container(IMAGE, ["sh", "-c", "echo out; echo err >&2; trap exit TERM; while :; do sleep 1 & wait; done"], name=name)
    api.start(c)
    for _ in api.logs(c["Id"], stream=True, follow=True, stdout=True, stderr=False):
        break
    return c["Id"]
