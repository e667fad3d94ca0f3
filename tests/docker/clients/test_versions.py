"""Versions of the API: each from 1.24 to 1.51 is served, others are refused in the reference's words."""

import docker
import pytest

from conftest import IMAGE, SOCKET

VERSIONS = [f"1.{n}" for n in range(24, 52)]


def client(version):
    return docker.APIClient(base_url=f"unix://{SOCKET}", version=version)


def get(path):
    api = client("1.41")
    answer = api.get(f"http+docker://localhost{path}")
    api.close()
    return answer


@pytest.mark.parametrize("version", VERSIONS)
def test_is_served(version, name):
    api = client(version)
    assert api.version()["ApiVersion"] == "1.51"
    assert get(f"/v{version}/info").json()["OSType"] == "linux"
    c = client("1.41").create_container(IMAGE, ["echo", version], name=name)
    assert get(f"/v{version}/containers/{name}/json").json()["Id"] == c["Id"]
    assert [x["Id"] for x in get(f"/v{version}/containers/json?all=1").json()] == [c["Id"]]
    assert IMAGE in [t for i in get(f"/v{version}/images/json").json() for t in i["RepoTags"] or []]


def test_too_old_and_too_new():
    old, new = get("/v1.23/version"), get("/v1.52/version")
    assert old.status_code == new.status_code == 400
    assert old.json()["message"] == (
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
    )
    assert new.json()["message"] == "client version 1.52 is too new. Maximum supported API version is 1.51"


def test_negotiation():
    for method in ("GET", "HEAD"):
        answer = docker.APIClient(base_url=f"unix://{SOCKET}").request(method, "http+docker://localhost/_ping")
        assert answer.headers["Api-Version"] == "1.51" and answer.headers["OSType"] == "linux"
    assert get("/no/such/path").json() == {"message": "page not found"}
