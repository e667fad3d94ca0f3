# One entry for every task; the logic is in scripts/ and xtask/.
.PHONY: help setup build demo test lint bench tempest oci-validation side-by-side crash \
        clients docker-py ansible-targets ansible-wheels ansible-fuzz guest install

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: ## Install what is missing on this machine
	@scripts/setup

build: setup ## Build everything
	@cargo build --workspace

demo: build ## Start a cloud and walk through the article's OpenStack example on it
	@scripts/demo

test: build ## All tests: unit, black box, one scenario per client family
	@scripts/test

lint: ## Format, lints, layers, sizes
	@cargo fmt --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo xtask layers
	@cargo xtask sizes
	@if command -v cargo-deny >/dev/null; then cargo deny check; fi

bench: setup ## Measure; figures are in docs/benchmarks.md
	@scripts/bench

tempest: build ## Tempest's smoke tests of what is there
	@scripts/tempest

oci-validation: build ## The OCI runtime validation suite, beside runc's results
	@tests/docker/oci-validation

side-by-side: build ## The same requests to the reference engine and to ours; writes what differs into the guide
	@scripts/in-netns tests/docker/side-by-side

crash: build ## Kill the daemon at 200 random moments
	@scripts/crash 200

clients: build ## Docker's other clients (docker-py, aiodocker, testcontainers, dockerode, Debian's CLI) on the engine
	@scripts/clients && scripts/in-netns tests/docker/clients/run

docker-py: build ## docker-py's own integration suite on the engine: DOCKER_PY=its checkout
	@scripts/docker-py

ansible-targets: ## ansible-core's own integration targets on our ansible: NAMES=… REFERENCE=1 JOBS=… BIN=…
	@tests/ansible/targets $(if $(REFERENCE),--reference) $(NAMES)

ansible-wheels: ## --syntax-check, --list-tasks, --list-hosts over three wheels' playbooks, beside the reference: BIN=… REFERENCE=its directory
	@tests/ansible/wheels
ansible-fuzz: ## Random templates and YAML, read by the engine and by ansible-core: SEED=… COUNT=… PYTHON=…
	@cargo build -q -p pileus-jinja --example render
	@tests/ansible/fuzz $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) --write docs/ansible-fuzz.md

guest: build ## Build both test guests, boot them and check them (minutes)
	@guest/test

install: ## Put the program, its links and a systemd unit into place
	@scripts/install
