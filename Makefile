SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
PROBLEM ?= flight-delays
AS_OF ?=
FROM ?= deliveries
REMOVE ?=
MONTHS ?= 6
REASON ?=
VERSION ?=
PREDICTION ?=
FINDING ?=
A ?=
B ?=
REPOSITORY ?= tidemill
BASE_IMAGE ?=
REGISTRY ?=
ENV ?=
IMAGE ?=
TO ?= backups/$(ENV)
SECRETS ?= $(or $(ENV),tidemill).secrets.json
DELETE_DATA ?=
VENV := .venv
RUN := $(VENV)/bin/python
TIDEMILL := $(VENV)/bin/tidemill
READY := $(VENV)/.ready
LOCK := -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url

##@ Start here
.PHONY: install
install: $(READY) ## Create .venv and install the locked packages and the command tidemill: make install PYTHON=python3.12

.PHONY: spark
spark: $(READY) ## Add Spark, the second engine of the data steps (480 MB; needs Java 17 or 21)
	@$(VENV)/bin/uv pip install -q --python $(RUN) --no-build-isolation --require-hashes -r requirements-spark.lock

.PHONY: demo
demo: $(READY) ## Run the whole way on this machine, no cluster: make demo PROBLEM=flight-delays AS_OF=2013-07-01
	@$(TIDEMILL) demo --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: loop
loop: $(READY) ## Simulate the half year after the first release: traffic, drift, alerts, retraining: make loop MONTHS=6
	@$(TIDEMILL) loop --months $(MONTHS)

##@ Data and pipelines
.PHONY: land
land: $(READY) ## Land the files of a folder for a problem, or REMOVE=sales/2026-10.csv: make land PROBLEM=wine FROM=deliveries
	@$(TIDEMILL) land $(if $(REMOVE),,$(FROM)) --problem $(PROBLEM) --list $(addprefix --remove ,$(REMOVE))

.PHONY: adopt
adopt: $(READY) ## Write the check that a finding of the last training proposes into the contract: make adopt FINDING=group_carrier
	@$(TIDEMILL) adopt $(FINDING) --problem $(PROBLEM)

.PHONY: refresh
refresh: $(READY) ## Bring the features and the online store up to a date, default now: make refresh AS_OF=2013-08-01
	@$(TIDEMILL) run refresh --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: monitor
monitor: $(READY) ## Monitor what was served up to a date, default now, and report: make monitor AS_OF=2013-08-01
	@$(TIDEMILL) run monitoring --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: submit
submit: $(READY) ## Train on the cluster and follow the run to its end: make submit PROBLEM=flight-delays AS_OF=2013-07-01
	@$(TIDEMILL) submit training --problem $(PROBLEM) $(addprefix --as-of ,$(AS_OF))

.PHONY: schedules
schedules: $(READY) ## Make the cluster keep the recurring runs of the contracts; tidemill schedules apply --plan shows them first
	@$(TIDEMILL) schedules apply

.PHONY: runs
runs: $(READY) ## List the runs
	@$(TIDEMILL) runs

.PHONY: compare-places
compare-places: $(READY) ## Name the step at which two runs of one contract and time part: make compare-places A=.tidemill/runs/x B=s3://…
	@$(TIDEMILL) compare-places $(A) $(B)

.PHONY: reproduce
reproduce: $(READY) ## Build a registered version again from its record and compare each step: make reproduce VERSION=1
	@$(TIDEMILL) reproduce --problem $(PROBLEM) --version $(VERSION)

##@ Serve and watch
.PHONY: serve
serve: $(READY) ## Keep the endpoint up, follow promotions, print a request that works: make serve, make serve VERSION=2
	@$(TIDEMILL) serve --problem $(PROBLEM) $(addprefix --version ,$(VERSION))

.PHONY: why
why: $(READY) ## Tell the chain behind a version or an answer: make why VERSION=2, make why PREDICTION=request-id
	@$(TIDEMILL) why --problem $(PROBLEM) $(addprefix --version ,$(VERSION)) $(addprefix --prediction ,$(PREDICTION))

.PHONY: prune
prune: $(READY) ## Delete what the contract keeps no longer; tidemill prune --plan shows it first: make prune ENV=test
	@$(TIDEMILL) prune --problem $(PROBLEM) $(addprefix --env ,$(ENV))

.PHONY: rollback
rollback: $(READY) ## Make the champion before the present one the champion again: make rollback REASON="it flags every flight" ENV=test
	@$(TIDEMILL) rollback --problem $(PROBLEM) --reason "$(REASON)" $(addprefix --env ,$(ENV))

.PHONY: promote
promote: $(READY) ## Release a version that was held back: make promote VERSION=3 REASON="ticket 12" ENV=test
	@$(TIDEMILL) promote --problem $(PROBLEM) --version $(VERSION) --reason "$(REASON)" $(addprefix --env ,$(ENV))

.PHONY: pause
pause: $(READY) ## Start no training until it is resumed: make pause REASON="broken feed" ENV=test
	@$(TIDEMILL) rulings pause --problem $(PROBLEM) --note "$(REASON)" $(addprefix --env ,$(ENV))

.PHONY: resume
resume: $(READY) ## Let the governor start trainings again: make resume ENV=test
	@$(TIDEMILL) rulings resume --problem $(PROBLEM) $(addprefix --env ,$(ENV))

.PHONY: status
status: $(READY) ## Show services, runs, models, traffic, alerts and freshness on one screen: make status ENV=test
	@$(TIDEMILL) status $(addprefix --env ,$(ENV))

.PHONY: ui
ui: $(READY) ## Open MLflow and all reports on loopback
	@$(TIDEMILL) ui

.PHONY: govern
govern: $(READY) ## Run the governor: takes alerts, rules on retraining, starts trainings
	@$(TIDEMILL) govern

.PHONY: rulings
rulings: $(READY) ## List what the governor ruled, in words; tidemill rulings --help: pause and resume
	@$(TIDEMILL) rulings list --problem $(PROBLEM) $(addprefix --env ,$(ENV))

##@ An installation on a cluster
.PHONY: doctor
doctor: $(READY) ## Check a cluster: rights, upstream parts, volumes, room, with what to do: make doctor ENV=production
	@$(TIDEMILL) doctor $(addprefix --env ,$(ENV))

.PHONY: platform
platform: $(READY) ## Install the upstream parts that a cluster lacks; tidemill platform --dry-run shows them: make platform ENV=test
	@$(TIDEMILL) platform $(addprefix --env ,$(ENV))

.PHONY: deploy
deploy: $(READY) ## Install the platform, or bring it up to this checkout: make deploy ENV=test IMAGE=registry.example/tidemill:TAG
	@$(TIDEMILL) deploy $(addprefix --env ,$(ENV)) $(addprefix --image ,$(IMAGE))

.PHONY: upgrade
upgrade: $(READY) ## Show what an upgrade changes, ask, and upgrade: make upgrade ENV=test
	@$(TIDEMILL) upgrade $(addprefix --env ,$(ENV)) $(addprefix --image ,$(IMAGE))

.PHONY: undeploy
undeploy: $(READY) ## End endpoints, recurring runs and services; data stay: make undeploy ENV=test DELETE_DATA=yes
	@$(TIDEMILL) undeploy $(addprefix --env ,$(ENV)) $(if $(DELETE_DATA),--delete-data)

.PHONY: backup
backup: $(READY) ## Keep databases, bucket and passwords: make backup ENV=test TO=s3://backups/test SECRETS=test.secrets.json
	@$(TIDEMILL) backup $(addprefix --env ,$(ENV)) $(TO) --secrets $(SECRETS)

.PHONY: restore
restore: $(READY) ## Bring a backup back into an empty namespace: make restore ENV=test TO=backups/test
	@$(TIDEMILL) restore $(addprefix --env ,$(ENV)) $(TO) --secrets $(SECRETS)

.PHONY: drill
drill: $(READY) ## Restore a fresh backup beside the installation, compare, time, delete: make drill ENV=test
	@$(TIDEMILL) drill $(addprefix --env ,$(ENV))

##@ Check
.PHONY: test
test: $(READY) ## Run every test but the benchmarks
	@$(RUN) -m pytest -n 2

.PHONY: coverage
coverage: $(READY) ## Run the same tests and list the lines that none reaches; takes about half as long again
	@$(RUN) -m pytest -n 2 --cov --cov-report=term-missing:skip-covered

.PHONY: test-cluster
test-cluster: $(READY) ## Test the chart on the cluster of KUBECONFIG, in namespaces of its own: make test-cluster IMAGE=localhost/tidemill:COMMIT
	@TEST_CLUSTER=1 TEST_IMAGE=$(IMAGE) $(RUN) -m pytest tests/cluster/test_prepare.py tests/cluster/test_chart.py tests/cluster/test_predictor.py tests/cluster/test_day_2.py

.PHONY: lint
lint: $(READY) ## Check format, style, types, import rules and generated files
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/hadolint components/Dockerfile
	@$(TIDEMILL) generate --check

.PHONY: bench
bench: $(READY) ## Measure speed and memory as ratios, side by side
	@$(RUN) -m tests.benchmarks

##@ Build
.PHONY: generate
generate: $(READY) ## Write what is generated: schemas of contract and chart, alert rules, Grafana provisioning, dashboards
	@$(TIDEMILL) generate

.PHONY: image
image: $(READY) ## Build the image of this commit: make image REPOSITORY=registry.example/ml/tidemill
	@$(TIDEMILL) image build --repository $(REPOSITORY) $(addprefix --base-image ,$(BASE_IMAGE))

.PHONY: images
images: $(READY) ## List every image that an installation pulls
	@$(TIDEMILL) image list

.PHONY: mirror
mirror: $(READY) ## Copy every image to a registry, for a cluster without a way out: make mirror REGISTRY=registry.example/mirror
	@$(TIDEMILL) image mirror $(REGISTRY)

.PHONY: sbom
sbom: $(READY) ## Write the CycloneDX list of the image's packages to build/sbom.json
	@mkdir -p build
	@PYTHONWARNINGS=ignore $(VENV)/bin/cyclonedx-py requirements requirements-runtime.lock --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json

.PHONY: audit
audit: $(READY) ## Compare the image's packages with the known flaws; a package that cannot be looked up is a fault
	@$(VENV)/bin/pip-audit --requirement requirements-runtime.lock --require-hashes --disable-pip --strict

.PHONY: lock
lock: $(READY) ## Resolve pyproject.toml into requirements.lock, and its runtime part for images
	@$(VENV)/bin/uv pip compile $(LOCK) --extra local --extra dev -o requirements.lock
	@$(VENV)/bin/uv pip compile $(LOCK) --constraint requirements.lock -o requirements-runtime.lock
	@$(VENV)/bin/uv pip compile $(LOCK) --constraint requirements.lock --extra spark -o requirements-spark.lock

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
