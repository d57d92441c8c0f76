# What can be done here: `make help` lists it. Variables may be given on the command line or in the environment.

IMAGE ?= georoot
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BASE ?= debian:trixie-slim
HTTPD ?= httpd:2.4
BIND ?= 127.0.0.1
MSK_PORT ?= 8081
AMS_PORT ?= 8082
MSK_STATUS_PORT ?= 9081
AMS_STATUS_PORT ?= 9082
PYTHON ?= python3
export IMAGE VERSION BASE HTTPD BIND MSK_PORT AMS_PORT MSK_STATUS_PORT AMS_STATUS_PORT

COMPOSE := GEOROOT_IMAGE=$(IMAGE) GEOROOT_VERSION=$(VERSION) docker compose --file compose/compose.yaml
BIN := .venv/bin
SHELL_SCRIPTS := .ci/run $(filter-out %.sh,$(wildcard scripts/*)) $(wildcard scripts/*.sh) \
	compose/stand-in/httpd compose/stand-in/httpd-foreground $(wildcard sidecar/link/gate)
PYTHON_SOURCES := $(wildcard sidecar tests bench)

.DEFAULT_GOAL := help
.PHONY: help up down logs status test accept soak bench bench-wan bench-scale lint types image bench-image test-image images clean venv lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  Variables: IMAGE=$(IMAGE) VERSION=$(VERSION) BIND=$(BIND) MSK_PORT=$(MSK_PORT) AMS_PORT=$(AMS_PORT)'
	@echo '             MSK_STATUS_PORT=$(MSK_STATUS_PORT) AMS_STATUS_PORT=$(AMS_STATUS_PORT) BASE=$(BASE) HTTPD=$(HTTPD)'
	@echo '             GEOROOT_ENGINE=no  installs no Docker engine, not even as root on a bare Debian'
	@echo '  For amd64 and arm64, into a registry of yours:'
	@echo '    docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=$(VERSION) --tag REGISTRY/$(IMAGE):$(VERSION) --push .'

# --- the two regions ---

up: images image ## start both regions and wait until they are well
	@$(COMPOSE) up --detach --wait --remove-orphans || { echo 'georoot: why not, says make logs' >&2; exit 1; }
	@echo
	@echo '  site     msk http://localhost:$(MSK_PORT)       ams http://localhost:$(AMS_PORT)'
	@echo '  sidecar  msk http://localhost:$(MSK_STATUS_PORT)/api/status  ams http://localhost:$(AMS_STATUS_PORT)/api/status'
	@echo '  try      docker compose -p $(or $(COMPOSE_PROJECT_NAME),georoot) exec msk-web sh -c "echo hello >htdocs/hello.txt"; curl http://localhost:$(AMS_PORT)/hello.txt'

down: ## stop both regions; their content and keys stay
	@$(COMPOSE) down

logs: ## what both regions say, from now on
	@$(COMPOSE) logs --follow --tail 50

status: ## how both regions are
	@code=0; for region in msk ams; do $(COMPOSE) exec -T $$region-sidecar sidecar status || code=$$?; done; exit $$code

# --- images ---

images:
	@scripts/engine
	@scripts/images base
	@scripts/images httpd

image: ## build the sidecar's image
	@scripts/engine
	@scripts/images base
	docker build --quiet --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null) --tag $(IMAGE):$(VERSION) .

bench-image: image
	docker build --quiet --build-arg BASE=$(BASE) --tag $(IMAGE)-bench:$(VERSION) bench

test-image: image
	docker build --quiet --target test --build-arg BASE=$(BASE) --tag $(IMAGE)-test:$(VERSION) .

# --- checks ---

venv: .venv/.ready ## the tools that tests and checks need, in .venv

.venv/.ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv), or PYTHON=/path/to/one" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements-dev.txt
	@touch $@

test: venv images test-image ## every test: unit, simulation, node (in the image), containers
	@scripts/test

lint: venv ## ruff, shellcheck, hadolint, import rules
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	$(BIN)/hadolint Dockerfile bench/Dockerfile compose/stand-in/Dockerfile
	$(BIN)/lint-imports

types: venv ## mypy --strict
	$(BIN)/mypy

bench: venv bench-image ## georoot beside lsyncd, syncthing and rsync on the same work: TURNS=5 TOOLS= WORKS= (hours)
	$(BIN)/python -m bench lan

bench-wan: venv bench-image ## georoot and rsync through a line of 50 ms there and back, 100 Mbit/s: TURNS=5
	$(BIN)/python -m bench wan

bench-scale: venv bench-image ## trees of up to a million files: SIZES=1,10000,100000,1000000 TOOLS= (an hour; 10 GB of disk)
	$(BIN)/python -m bench scale

accept: venv images test-image ## the acceptance at full size: 20 000 simulated histories, real content in and out
	@LEVELS=accept scripts/test

soak: venv images test-image ## random work and faults on both sides for SOAK_MINUTES=10, SOAK_KILLS=200: is all of it identical?
	@LEVELS=soak scripts/test

# --- housekeeping ---

clean: ## delete all that was made here, content included; asks, unless FORCE=1
	@scripts/clean

lock: ## pin the requirements anew, hashes included (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' requirements.in --output-file requirements.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' --constraints requirements.txt requirements-dev.in --output-file requirements-dev.txt
