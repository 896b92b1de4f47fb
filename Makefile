# `make help` lists the targets. Each installs what it needs first, and may be run again at any time.
.PHONY: help setup demo check lint test test-unit test-engine test-cluster fuzz test-newest test-newest-manim \
	test-manim-versions test-modal-live bench golden dist lock hooks cluster-up cluster-down clean
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTEST := $(BIN)/pytest
WITH_CLUSTER := tests/support/cluster/with
OTHER_SERVICES := not cluster and not containers and not modal
compile = $(BIN)/uv pip compile -q --universal --python-version $(1) --generate-hashes --no-emit-index-url

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Install what is missing: Debian packages (with sudo), uv and the locked Python environment in .venv
	@scripts/setup

demo: setup  ## Render an example on this machine, into renders/
	$(BIN)/renderer submit examples/hello.py --quality m --output renders

check: setup  ## Check formatting, lint, types, import contracts and unit tests, in less than a minute
	@scripts/check

lint: setup  ## As check, without the tests
	@scripts/check --lint

test: lint  ## Run every check: lint, then all tests on a Kubernetes cluster of their own; about half an hour
	@scripts/setup-image
	@scripts/setup-clients
	$(WITH_CLUSTER) $(PYTEST) -n 3

test-unit: setup  ## Run the tests that need no service and render little
	$(PYTEST) -q -m "$(OTHER_SERVICES) and not slow" tests/unit tests/docs tests/doctor tests/backends

test-engine: setup  ## Run the tests of the parallel engine and of the encoders
	$(PYTEST) -n 2 tests/engine tests/video tests/like_manim

test-cluster: setup  ## Run the tests that need Kubernetes, on a cluster that is started for them (as root)
	@scripts/setup-image
	$(WITH_CLUSTER) $(PYTEST) -m cluster

fuzz: setup  ## Try damaged texts on each format that comes from a job, SECONDS=600 for each
	cd tests && ../$(BIN)/python -m support.fuzz $(or $(SECONDS),600) $(TARGETS)

test-newest: setup  ## Run the tests that depend on Python's version on the newest Python that Manim supports
	@python=$$(scripts/newest-python) || { echo "SKIPPED: tests on the newest Python"; exit 0; }; \
	scripts/setup "$$python" .venv-newest && \
	.venv-newest/bin/pytest -q -p no:cacheprovider -m "$(OTHER_SERVICES)" tests/unit tests/cli tests/contract

test-manim-versions: setup  ## Compare renders by each release of Manim that is promised with its own; installs them
	MANIM_RELEASES="0.18.0 0.18.1 0.19.0 0.19.1 0.19.2 0.20.0 0.20.1 0.21.0 0.22.0" $(PYTEST) -q tests/versions

test-newest-manim: setup  ## Run the engine's tests on the newest Manim and its main branch; prints what moved
	@scripts/test-newest-manim

test-modal-live: setup  ## Run the tests on Modal itself: needs an account and MODAL_LIVE=1, and costs money
	$(PYTEST) -p no:cacheprovider tests/backends/modal/test_live.py

bench: setup  ## Compare with plain Manim on this machine: start-up, and four scenes in 720p; RUNS=5 for medians
	$(BIN)/python benchmarks/startup.py --runs $(or $(RUNS),1)
	$(BIN)/python benchmarks/engine.py --runs $(or $(RUNS),1) --quality m

golden: setup  ## Write golden files and the tables of the documents again; look at them with git diff
	WRITE_GOLDEN=1 $(PYTEST) -q -m "not cluster" tests/backends/kubernetes/offline/test_plan.py \
	  tests/backends/kubernetes/offline/test_serve_objects.py tests/backends/modal/test_request.py
	PYTHONPATH=. $(BIN)/python scripts/chart.py
	$(BIN)/python tests/support/docs/tables.py
	@git diff --stat -- '*/golden/*' '*.md'

dist: setup  ## Build the wheel and the sdist of the last commit into dist/, the same bytes on every machine
	@scripts/dist

lock: setup  ## Write the lock files again from pyproject.toml; remove one first to update its packages
	$(call compile,3.11) --all-extras --group pyproject.toml:dev pyproject.toml -o requirements.txt
	$(call compile,3.11) --extra manim --extra k8s --extra serve --extra mcp --extra otel --group pyproject.toml:image pyproject.toml -o docker/requirements.txt
	$(call compile,3.10) --group pyproject.toml:image-build -o docker/build-requirements.txt

hooks: setup  ## Run the linters at every git commit
	$(BIN)/pre-commit install

cluster-up:  ## Start a single-node Kubernetes with fake GPUs (as root); then: . .cluster.env
	tests/support/cluster/up

cluster-down:  ## End that cluster
	tests/support/cluster/down

clean:  ## Remove what these targets wrote into this folder, .venv included
	rm -rf .venv .venv-newest .venv-manim-* dist renders media .cluster.env .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
