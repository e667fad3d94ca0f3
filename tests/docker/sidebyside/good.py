"""Requests that are answered, whose answers' keys, kinds and null, absent and empty habits are compared."""

from urllib.parse import quote

NOTHING = "filters=" + quote('{"label":["zz"]}')

# (name, method, path, body)
REQUESTS = [
    ("inspect: made of little", "GET", "/containers/bare/json", None),
    ("inspect: made as the CLI does", "GET", "/containers/made/json", None),
    ("inspect: running", "GET", "/containers/runs/json?size=1", None),
    ("inspect: ended", "GET", "/containers/ended/json", None),
    ("inspect: on a network of its own", "GET", "/containers/netted/json", None),
    ("list", "GET", "/containers/json?all=1&filters=" + quote('{"name":["runs"]}'), None),
    ("list: with sizes", "GET", "/containers/json?size=1&filters=" + quote('{"name":["runs"]}'), None),
    ("list: on a network", "GET", "/containers/json?filters=" + quote('{"name":["netted"]}'), None),
    ("list: ended", "GET", "/containers/json?all=1&filters=" + quote('{"name":["ended"]}'), None),
    ("stats: running", "GET", "/containers/runs/stats?stream=0", None),
    ("stats: made", "GET", "/containers/made/stats?stream=0", None),
    ("top", "GET", "/containers/runs/top", None),
    ("changes: none", "GET", "/containers/made/changes", None),
    ("changes", "GET", "/containers/ended/changes", None),
    ("wait: ended", "POST", "/containers/ended/wait", None),
    ("update: nothing", "POST", "/containers/made/update", {}),
    ("exec", "POST", "/containers/runs/exec", {"Cmd": ["true"]}),
    ("exec: inspect, before", "GET", "/exec/{exec}/json", None),
    ("info", "GET", "/info", None),
    ("version", "GET", "/version", None),
    ("ping", "GET", "/_ping", None),
    ("df", "GET", "/system/df", None),
    ("events", "GET", "/events?since=0&until={now}&filters=" + quote('{"event":["create"],"container":["runs"]}'), None),
    ("events: a network's", "GET", "/events?since=0&until={now}&filters=" + quote('{"network":["net1"],"event":["create"]}'), None),
    ("events: a volume's", "GET", "/events?since=0&until={now}&filters=" + quote('{"volume":["kept"],"event":["create"]}'), None),
    ("volume", "GET", "/volumes/kept", None),
    ("volume: of little", "POST", "/volumes/create", {"Name": "plain"}),
    ("volumes: none", "GET", "/volumes?filters=" + quote('{"name":["zzzz"]}'), None),
    ("network: bridge", "GET", "/networks/bridge", None),
    ("network: host", "GET", "/networks/host", None),
    ("network: none", "GET", "/networks/none", None),
    ("network: user's", "GET", "/networks/net1?verbose=1", None),
    ("networks", "GET", "/networks?filters=" + quote('{"name":["net1"]}'), None),
    ("networks: none", "GET", "/networks?filters=" + quote('{"name":["zzzz"]}'), None),
    ("image", "GET", "/images/busybox/json", None),
    ("image: built", "GET", "/images/built/json", None),
    ("image: committed", "GET", "/images/committed/json", None),
    ("images", "GET", "/images/json?filters=" + quote('{"reference":["busybox"]}'), None),
    ("images: nameless", "GET", "/images/json?filters=" + quote('{"dangling":["true"]}'), None),
    ("images: none", "GET", "/images/json?filters=" + quote('{"reference":["zzzz"]}'), None),
    ("history", "GET", "/images/built/history", None),
    ("tag", "POST", "/images/busybox/tag?repo=tagged", None),
    ("untag", "DELETE", "/images/tagged", None),
    ("prune: containers", "POST", "/containers/prune?" + NOTHING, None),
    ("prune: volumes", "POST", "/volumes/prune?" + NOTHING, None),
    ("prune: networks", "POST", "/networks/prune?" + NOTHING, None),
    ("prune: images", "POST", "/images/prune?" + NOTHING, None),
    ("prune: build cache", "POST", "/build/prune", None),
    ("exec: start", "POST", "/exec/{exec}/start", {"Detach": True}),
    ("resize", "POST", "/containers/runs/resize?h=10&w=20", None),
    ("pause", "POST", "/containers/runs/pause", None),
    ("inspect: paused", "GET", "/containers/runs/json", None),
    ("unpause", "POST", "/containers/runs/unpause", None),
    ("rename", "POST", "/containers/bare/rename?name=renamed", None),
]

EXPOSED = {"80/tcp": {}, "81/udp": {}}
# As the CLI's `docker create` fills it in.
CLI = {
    "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}}, "NetworkMode": "default",
    "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False, "VolumeDriver": "",
    "VolumesFrom": None, "CapAdd": None, "CapDrop": None, "CgroupnsMode": "", "Dns": [], "DnsOptions": [], "DnsSearch": [],
    "ExtraHosts": None, "GroupAdd": None, "IpcMode": "", "Cgroup": "", "Links": None, "OomScoreAdj": 0, "PidMode": "",
    "Privileged": False, "PublishAllPorts": False, "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "",
    "UsernsMode": "", "ShmSize": 0, "ConsoleSize": [0, 0], "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
    "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [], "BlkioDeviceReadBps": None, "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None, "BlkioDeviceWriteIOps": None, "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [], "DeviceCgroupRules": None,
    "DeviceRequests": None, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": -1, "OomKillDisable": False,
    "PidsLimit": 0, "Ulimits": None, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    "MaskedPaths": None, "ReadonlyPaths": None,
}
FULL = {
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "Memory": 64 << 20,
    "Binds": ["kept:/data", "/tmp:/ro:ro"], "Tmpfs": {"/x": "size=1m"}, "CapAdd": ["NET_ADMIN"], "GroupAdd": ["7"],
    "Mounts": [
        {"Type": "volume", "Target": "/anon"}, {"Type": "bind", "Source": "/tmp", "Target": "/b"},
        {"Type": "tmpfs", "Target": "/tt", "TmpfsOptions": {"SizeBytes": 1_000_000, "Mode": 0o700}},
    ],
    "PortBindings": {"80/tcp": [{"HostPort": ""}]}, "ExtraHosts": ["a:1.2.3.4"], "Dns": ["1.2.3.4"],
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n2", "CgroupPermissions": "rwm"}],
    "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 2000}], "Sysctls": {"net.ipv4.ip_forward": "1"},
}


def set_up(ask):
    """Makes on one engine what is asked about; `ask(method, path, body, raw)` gives status and answer."""
    plain = {"Image": "busybox", "Cmd": ["sleep", "1000"]}

    def make(name, **body):
        status, answer = ask("POST", f"/containers/create?name={name}", {**plain, **body})
        assert status == 201, (name, status, answer)

    def start(name):
        status, answer = ask("POST", f"/containers/{name}/start")
        assert status == 204, (name, status, answer)

    assert ask("POST", "/volumes/create", {"Name": "kept", "Labels": {"a": "b"}})[0] == 201
    status, answer = ask("POST", "/networks/create", {
        "Name": "net1", "Labels": {"a": "b"}, "Options": {"com.docker.network.bridge.enable_icc": "true"},
        "IPAM": {"Config": [{"Subnet": "10.99.0.0/24", "Gateway": "10.99.0.1", "AuxiliaryAddresses": {"x": "10.99.0.9"}}]},
    })
    assert status == 201, answer
    make("bare")
    make("made", HostConfig=CLI, Tty=False, OpenStdin=False, Volumes={}, Labels={}, OnBuild=None, Entrypoint=None, Env=[],
         NetworkingConfig={"EndpointsConfig": {}})
    make("runs", HostConfig=FULL, Labels={"a": "b"}, ExposedPorts=EXPOSED, Volumes={"/vv": {}}, Tty=True, User="0",
         Healthcheck={"Test": ["CMD", "true"], "Interval": 1_000_000_000}, StopSignal="SIGINT", StopTimeout=3, Env=["A=1"],
         WorkingDir="/tmp", Entrypoint=["sleep"], Cmd=["1000"], Domainname="d.example", Hostname="hh")
    start("runs")
    make("netted", HostConfig={"NetworkMode": "net1"},
         NetworkingConfig={"EndpointsConfig": {"net1": {"Aliases": ["al"], "IPAMConfig": {"IPv4Address": "10.99.0.5"}}}})
    start("netted")
    make("ended", Cmd=["sh", "-c", "echo a; touch /tmp/new; rm /etc/tag; exit 3"], HostConfig={})
    start("ended")
    assert ask("POST", "/containers/ended/wait")[1]["StatusCode"] == 3
    assert ask("POST", "/commit?container=ended&repo=committed&comment=c&author=me")[0] == 201
