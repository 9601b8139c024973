SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
PROBLEM ?= flight-delays
AS_OF ?=
FROM ?= drops
MONTHS ?= 6
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
LOCK := -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url

##@ Start here
.PHONY: install
install: $(READY) ## Create .venv and install the locked packages: make install PYTHON=python3.12

.PHONY: demo
demo: $(READY) ## Run the whole way on this machine, no cluster: make demo PROBLEM=flight-delays AS_OF=2013-07-01
	@$(RUN) -m pipelines.commands.demo --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: loop
loop: $(READY) ## Play half a year after the first release: traffic, drift, alerts, one retraining: make loop MONTHS=6
	@$(RUN) -m pipelines.simulation --months $(MONTHS)

.PHONY: land
land: $(READY) ## Land the files of a folder for a problem: make land PROBLEM=wine FROM=drops
	@$(RUN) -m pipelines.commands.land --problem $(PROBLEM) --folder $(FROM)

.PHONY: serve
serve: $(READY) ## Keep the endpoint up and print a request that works
	@$(RUN) -m pipelines.commands.serve --problem $(PROBLEM)

.PHONY: refresh
refresh: $(READY) ## Bring features and online store up to a moment: make refresh AS_OF=2013-08-01
	@$(RUN) -m pipelines.commands.demo --pipeline refresh --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: monitor
monitor: $(READY) ## Judge what was served before a moment, and report: make monitor AS_OF=2013-08-01
	@$(RUN) -m pipelines.commands.demo --pipeline monitoring --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: govern
govern: $(READY) ## Run the governor: takes alerts, decides, starts trainings
	@$(RUN) -m pipelines.commands.govern

.PHONY: decisions
decisions: $(READY) ## List what the governor decided, in words
	@$(RUN) -m pipelines.commands.rulings --problem $(PROBLEM)

.PHONY: ui
ui: $(READY) ## Open MLflow and all reports on loopback
	@$(RUN) -m pipelines.commands.ui

.PHONY: runs
runs: $(READY) ## List the runs of this machine
	@$(RUN) -m pipelines.runners.records

##@ Check
.PHONY: test
test: $(READY) ## Run every test but the benchmarks, with coverage
	@$(RUN) -m pytest -n 2 --cov --cov-report=term:skip-covered

.PHONY: lint
lint: $(READY) ## Check format, style, types, import rules and generated files
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(RUN) -m pipelines.commands.generate --check

.PHONY: bench
bench: $(READY) ## Measure speed and memory as ratios, side by side
	@$(RUN) -m tests.benchmarks

##@ Build
.PHONY: generate
generate: $(READY) ## Write what is generated: contract schema, alert rules, Grafana provisioning, dashboards
	@$(RUN) -m pipelines.commands.generate

.PHONY: lock
lock: $(READY) ## Resolve pyproject.toml into requirements.lock, and its runtime part for images
	@$(VENV)/bin/uv pip compile $(LOCK) --extra local --extra dev -o requirements.lock
	@$(VENV)/bin/uv pip compile $(LOCK) --constraint requirements.lock -o requirements-runtime.lock

.PHONY: clean
clean: ## Remove runs, data and caches of this machine; .venv stays
	@rm -rf .tidemill .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* build *.egg-info

.PHONY: help
help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(READY): requirements.lock pyproject.toml
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(RUN) -m pip install -q --disable-pip-version-check uv==0.13.9
	@$(VENV)/bin/uv pip install -q --python $(RUN) --compile-bytecode --require-hashes -r requirements.lock
	@$(VENV)/bin/uv pip install -q --python $(RUN) --no-deps --no-build-isolation --config-setting editable_mode=compat -e .
	@touch $@
