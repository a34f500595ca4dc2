# Everything that one does with this checkout. `make help` lists it.
#
# Needs make and Python 3.11 or later; the rest is fetched: Python packages as uv.lock says into .venv, and for the
# tests the real servers that they talk to (tests/servers/install.sh).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# An own uv when there is none: it must not live in .venv, which it fills.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
BIN := .venv/bin
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Further arguments: make run ARGS="--history 1d", make test ARGS="tests/unit -x".
ARGS ?=

.PHONY: help
help:  ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "needs Python 3.11 or later: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/as-root apt-get -qq install -y python3-venv >/dev/null 2>&1 \
	  || { echo "needs Python's venv module: install the package python3-venv"; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/pip --quiet install 'uv>=0.13,<1'

# --inexact: what the tests brought stays when only `make run` asks.
.venv/run.stamp: uv.lock pyproject.toml | $(filter .uv/%,$(UV))
	$(UV) sync --frozen --no-dev --inexact
	@touch $@

.venv/dev.stamp: uv.lock pyproject.toml | $(filter .uv/%,$(UV))
	$(UV) sync --frozen
	@touch $@ .venv/run.stamp

.PHONY: setup
setup: .venv/dev.stamp  ## Make .venv with the locked packages, those for development too

.PHONY: run
run: .venv/run.stamp  ## Install, then show the whole product: history, live traffic, a regression, its alert
	$(BIN)/driftline demo $(ARGS)

.PHONY: servers
servers:  ## Install the real servers that the tests need: Kafka, Prometheus, k6, helm, PostgreSQL, Chromium
	tests/servers/install.sh

.PHONY: test
test: setup servers  ## Run the whole suite on real servers
	$(BIN)/pytest --cov --cov-report= --durations=20 $(ARGS)

.PHONY: check
check: setup  ## What has to hold for every commit: style, types, layers, lock file; then the coverage of the last test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(UV) lock --check --offline
	@if [ -e .coverage ]; then $(BIN)/coverage report; else echo "no coverage yet: make test"; fi

.PHONY: differential
differential: setup  ## Compare 50,000 generated expressions with a real Prometheus, value by value
	tests/servers/install.sh prometheus
	$(BIN)/python -m tests.differential.run $(ARGS)

.PHONY: fuzz
fuzz: setup  ## Fuzz both remote write decoders for ten minutes, guided by coverage
	$(UV) sync --frozen --inexact --group fuzz
	$(BIN)/python -m tests.fuzz.run $(ARGS)

.PHONY: bench
bench: setup servers  ## Measure speed and memory, one benchmark after the other (keep the machine quiet)
	$(BIN)/python -m benchmarks.run $(ARGS)

.PHONY: bench-detection
bench-detection: setup  ## Measure what detection finds, misses and cries, beside its rivals: half an hour, public data
	$(BIN)/python -m benchmarks.detection $(ARGS)

.PHONY: peers
peers: setup servers  ## Measure Driftline beside Prometheus and VictoriaMetrics, same load: CPU, memory, delay
	benchmarks/peers/install.sh
	$(BIN)/python -m benchmarks.against_peers $(ARGS)

.PHONY: kafka
kafka: setup  ## Run an Apache Kafka on this machine until Ctrl-C; prints its address
	tests/servers/install.sh java kafka
	$(BIN)/python -m tests.servers.kafka $(ARGS)

.PHONY: image
image:  ## Build the container image
	docker build --tag driftline:$(VERSION) .

.PHONY: golden
golden: setup  ## Write the generated files again (docs/schemas, docs/configuration.md) and show what changed
	$(BIN)/python -m tests.golden.documents
	git --no-pager diff --stat -- docs
