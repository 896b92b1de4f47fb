# Two commands: `make demo` renders an example here, `make test` runs every check. Both install what is missing.
.PHONY: demo test test-newest setup lint lock

BIN := .venv/bin

demo: setup
	$(BIN)/renderer submit examples/hello.py --quality m --output renders

test: setup lint
	@scripts/setup-image
	tests/support/cluster/with $(BIN)/pytest -n 2

# The tests that depend on Python's version, on the newest one that Manim takes.
test-newest: setup
	@python=$$(scripts/newest-python) || { echo "SKIPPED: tests on the newest Python"; exit 0; }; \
	scripts/setup "$$python" .venv-newest && .venv-newest/bin/pytest -q -p no:cacheprovider tests/unit tests/cli tests/contract -k "not k8s and not modal and not docker"

setup:
	@scripts/setup

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

# Writes the lock files again from pyproject.toml.
lock: setup
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras --group pyproject.toml:dev pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra manim --group pyproject.toml:image pyproject.toml -o docker/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-emit-index-url --group pyproject.toml:image-build -o docker/build-requirements.txt

# A single-node Kubernetes with GPUs that do not exist, for the tests; as root. Prints nothing on the way but news.
.PHONY: cluster-up cluster-down
cluster-up:
	tests/support/cluster/up

cluster-down:
	tests/support/cluster/down

# Modal itself instead of its double. Needs a Modal account and MODAL_LIVE=1, and costs money; otherwise it is skipped.
.PHONY: test-modal-live
test-modal-live: setup
	$(BIN)/pytest -p no:cacheprovider tests/backends/modal/test_live.py
