"""Makes docs/docker-py.md of JUnit reports: what passed by class, and by name what didn't, with its reason.

    summary.py VERSION REPORT.xml…
"""

import collections
import sys
import xml.etree.ElementTree as tree

# What the reference doesn't pass either, and why.
REFERENCE = {
    "test_attach_websocket": "the test's own URL has a scheme that its client refuses",
    "test_pull_image_from_digest": "wants Docker Hub",
    "test_attach_no_stream": "fails there too",
    "test_run_container_reading_socket_ws": "the test's own URL has a scheme that its client refuses",
    "test_pull_with_sha": "wants an image of Docker Hub's",
    "test_create_inspect_network_with_scope": "a swarm's",
    "test_create_network_attachable": "a swarm's",
    "test_create_network_ingress": "a swarm's",
}
STORE = "wants a docker-credential helper in PATH"


def outcome(case):
    """passed, failed, error, skipped or xfailed, and the reason."""
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            text = (child.get("message") or "").strip().replace("\n", " ").replace("|", "\\|")
            kind = {"failure": "failed", "error": "error", "skipped": "skipped"}[child.tag]
            if child.get("type") == "pytest.xfail":
                kind = "expected failure"
            return kind, " ".join(text.split())[:160]
    return "passed", ""


def main(version, *reports):
    classes = collections.defaultdict(lambda: collections.defaultdict(int))
    names = collections.OrderedDict()
    for case in (c for r in reports for c in tree.parse(r).getroot().iter("testcase")):
        place = case.get("classname").removeprefix("tests.integration.")
        kind, reason = outcome(case)
        # A test whose teardown failed too is listed twice: its own outcome counts.
        if names.get((place, case.get("name")), ("passed",))[0] == "passed":
            names[(place, case.get("name"))] = (kind, reason)
    for (place, _), (kind, _) in names.items():
        classes[place][kind] += 1
    total = collections.Counter(kind for kind, _ in names.values())

    print("# docker-py's integration suite\n")
    print(f"Written by `make docker-py`; {version}. Left out are swarm, services, nodes, secrets, configs and plugins.\n")
    print(", ".join(f"**{n} {kind}**" for kind, n in total.most_common()) + f" of {len(names)}.\n")
    print("## What didn't pass\n")
    print("| test | outcome | reason |\n|---|---|---|")
    for (place, name), (kind, reason) in names.items():
        if kind != "passed":
            known = STORE if "credentials.store_test" in place else REFERENCE.get(name)
            note = f"{reason} ({known})" if known else reason
            print(f"| `{place}.{name}` | {kind} | {note} |")
    print("\n## By class\n")
    print("| class | passed | of |\n|---|---|---|")
    for place, kinds in classes.items():
        print(f"| `{place}` | {kinds['passed']} | {sum(kinds.values())} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
