# The two commands that a newcomer needs are `make run` and `make test`; both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test test-unit test-integration test-system test-browser lint format types docs bench bench-serving lock clean

run: $(INSTALLED)
	$(BIN)/churn up

# A file's tests stay together, since they share what is dear to make.
PYTEST = $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(INSTALLED)
	$(PYTEST)

test-unit: $(INSTALLED)
	$(PYTEST) churn_platform_tests/unit

test-integration: $(INSTALLED)
	$(PYTEST) --ignore churn_platform_tests/unit

# Whole platforms as processes: killed, in production's shape, and as the documentation uses them.
test-system: $(INSTALLED)
	$(PYTEST) churn_platform_tests/system

# Needs Chromium, which is no Python package: apt-get install chromium, or CHROMIUM=/path/to/it.
test-browser: $(INSTALLED)
	$(BIN)/pytest churn_platform_tests/browser

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint deploy/Dockerfile

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python -m churn_platform.settings > docs/settings.md
	$(BIN)/python -m churn_platform.tables.catalog > docs/tables.md

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.closing

bench-serving: $(INSTALLED)
	$(BIN)/python -m benchmarks.serving.bench

# uv comes by pip; it installs exactly what the lock file says, compiled, since uncompiled imports take three times as long.
$(INSTALLED): pyproject.toml requirements-dev.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Each lock constrains the next, so that serving, the platform and the tests agree on every version.
UV_LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: $(INSTALLED)
	$(UV_LOCK) --extra platform --extra dev pyproject.toml --output-file requirements-dev.lock
	$(UV_LOCK) --extra platform pyproject.toml --constraint requirements-dev.lock --output-file requirements.lock
	$(UV_LOCK) pyproject.toml --constraint requirements-dev.lock --output-file requirements-serving.lock
	$(UV_LOCK) --group image --constraint requirements-dev.lock --output-file deploy/requirements-build.lock

clean:
	rm -rf $(VENV) .churn .mypy_cache .ruff_cache .hypothesis dist
