"""What differs from the reference on purpose: each reason, with patterns of the differences that it explains."""

import re

# Reason: patterns of "kind | name | theirs | ours", in the order of the guide.
REASONS = {
    "The version is this engine's own; the API's newest is 1.51, its oldest 1.24. There are no containerd, runc and `init` of "
    "which `info` and `version` could tell; `Runtimes` names this program.": [
        r"\| version: ", r"info: \.(ServerVersion|(Containerd|Runc|Init)Commit|Runtimes)", r"\.DockerVersion",
    ],
    "Answers have the fields of newer engines: `DNSNames`, `GwPriority`, `EnableIPv4`, `CDISpecDirs`, "
    "`DefaultAddressPools`, `ProductLicense`, the label of anonymous volumes; and not those that newer engines dropped "
    "(`KernelMemory`, `KernelMemoryTCP`).": [
        r"\.(DNSNames|GwPriority|EnableIPv4|CDISpecDirs|ProductLicense|DefaultAddressPools|KernelMemory|KernelMemoryTCP)\b",
        r"com\.docker\.volume\.anonymous|Volumes\[0\]\.Labels", r"memory_stats\.stats\.", r"GraphDriver\.Data\.ID",
        r"info: \.(RegistryConfig|SecurityOptions|LiveRestoreEnabled)",
    ],
    "As with newer engines, `NetworkMode` `default` is kept as `bridge`, and what a client leaves out is kept as what it "
    "stands for: restart policy `no`, runtime `runc`, no port bindings `{}`; lists are empty rather than `null` in "
    "`RepoDigests` and `BuildCache`, and `null` in the ranges of networks without any.": [
        r"HostConfig\.(NetworkMode|RestartPolicy\.Name|Runtime|PortBindings)", r"RepoDigests|df: \.BuildCache", r"IPAM\.Config",
        r"on a network: .*Aliases",
    ],
    "Networks' ranges come from 172.30.0.0/15, and the bridge's link has a name of its own.": [
        r"172\.17\.0\.", r"network\.bridge\.name",
    ],
    "Log drivers of clouds and services (`awslogs`, `gcplogs`, `splunk`, `logentries`) aren't there.": [r"info: \.Plugins\.Log"],
    "What could never start is refused when it is made (400), as newer engines do: modes of namespaces, ulimits, device "
    "rules, CPU shares, sizes of tmpfs, protocols of ports, ranges outside of a subnet, other options of a volume that is there.": [
        r"create: (ipc|pid|uts|user namespace|cgroup namespace) ?.*\| 201 ", r"create: (limit|device rule|CPU shares|block weight|port's protocol|tmpfs of less)",
        r"network: range outside", r"volume: other options",
    ],
    "Some mistakes are the client's (4xx, in newer engines' words) where 20.10 answers 500 or in words of its own.": [
        r"\| network: ", r"networks: dangling", r"kill: signal 99", r"remove: running", r"archive: ", r"restart policy's count",
        r"images: (load|create) ", r"image(s)?: save", r"create: a list", r"volumes' mode", r"\| build: ", r"push what isn't there",
    ],
}
# What is chance: other objects on the two engines, no network here.
CHANCE = [
    r"/auth \| ", r"Health\.Status", r"\| list: \{\}", r"df: a type", r"df: \.(Images|Containers|Volumes)\[0\]", r"images: nameless",
]


def chance(line):
    return any(re.search(pattern, line) for pattern in CHANCE)


def reason(line):
    """Why this difference is, or None."""
    return next((why for why, patterns in REASONS.items() if any(re.search(p, line) for p in patterns)), None)
