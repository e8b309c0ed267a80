# The two commands that a newcomer needs are `make run` and `make test`; both set up what they need. The text after ##
# is what `make help` shows for a target.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help run test test-unit test-integration test-system test-browser test-containers torture coverage lint format types docs
.PHONY: evidence evidence-quick bench bench-serving hooks lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: $(INSTALLED) ## start the platform on this machine; sets up what it needs
	$(BIN)/churn up

# A file's tests stay together, since they share fixtures that are expensive to make.
PYTEST = $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(INSTALLED) ## units, and how they work together
	$(PYTEST)

test-unit: $(INSTALLED) ## only what runs in seconds
	$(PYTEST) churn_platform_tests/unit

test-integration: $(INSTALLED) ## the rest of `make test`
	$(PYTEST) --ignore churn_platform_tests/unit

test-system: $(INSTALLED) ## whole platforms as processes: killed, in odd places, in production's shape, as the docs use them
	$(PYTEST) churn_platform_tests/system churn_platform_tests/torture

# Its tests are many and independent, unlike those that share a platform. Another SEED tortures in other ways.
torture: $(INSTALLED) ## random kills, full disks, broken drops and files, wrong answers: an hour or two
	$(BIN)/pytest -n 2 --all $(if $(SEED),--seed $(SEED)) churn_platform_tests/torture \
	  churn_platform_tests/serving/test_wrong_registries.py

# Needs Chromium, which is not a Python package: apt-get install chromium, or CHROMIUM=/path/to/it.
test-browser: $(INSTALLED) ## click through a platform in headless Chromium
	$(BIN)/pytest churn_platform_tests/browser

# It says which of Debian's packages it needs where one is missing.
test-containers: $(INSTALLED) ## build the images and run the compose file's services, as root, without Docker
	$(BIN)/pytest churn_platform_tests/containers

# The same tests as `make test`, slower. The floor, in pyproject.toml, is what they covered when it was set.
coverage: $(INSTALLED) ## `make test`, and which lines it ran
	$(PYTEST) --cov --cov-report=term

lint: $(INSTALLED) ## ruff, and the Dockerfile's linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint deploy/Dockerfile

format: $(INSTALLED) ## fix what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED) ## mypy, and whether Dagster loads the definitions
	$(BIN)/mypy
	$(BIN)/dg check defs

docs: $(INSTALLED) ## renew the generated pages
	$(BIN)/python -m churn_platform.settings > docs/settings.md
	$(BIN)/python -m churn_platform.tables.catalog > docs/tables.md
	$(BIN)/churn company schema > docs/company.schema.json
	$(BIN)/python -m benchmarks.evidence.page > docs/evidence.md

hooks: $(INSTALLED) ## have git check each commit
	$(BIN)/pre-commit install

# One world for each core, and one thread for each world: more of them would wait for each other.
EVIDENCE = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.evidence --processes 2
evidence: $(INSTALLED) ## how often the platform is right in simulated worlds: hours, and it goes on where it was cut off
	$(EVIDENCE)

evidence-quick: $(INSTALLED) ## a part of that, in two small worlds: minutes
	$(EVIDENCE) --quick

bench: $(INSTALLED) ## what closing a month costs
	$(BIN)/python -m benchmarks.closing

bench-serving: $(INSTALLED) ## how fast serving answers (needs wrk)
	$(BIN)/python -m benchmarks.serving.bench

# pip's own sentence about a Python that is too old comes late, and is long.
OLD = import sys; v = sys.version_info[:3]; \
  sys.exit(v < (3, 11) and "Error: Python 3.11 or newer is needed, and $(PYTHON) is %d.%d.%d: name another one, \
  such as make run PYTHON=python3.12" % v)

# $(call step,N,WORDS,COMMAND) runs a step of the set-up and says so; on a terminal its seconds are counted meanwhile.
define step
told='setting up: step $(1) of 4, $(2)'; began=$$(date +%s); since() { echo $$(($$(date +%s) - began)); }; \
if test -t 2; then \
  while kill -0 $$$$ 2> /dev/null; do printf '\r%s, %s s' "$$told" $$(since) >&2; sleep 1; done & \
  trap "kill $$!; echo >&2" EXIT; trap 'exit 130' INT TERM; \
fi; \
$(3) && if test -t 2; then printf '\r%s, %s s' "$$told" $$(since) >&2; else echo "$$told, $$(since) s" >&2; fi
endef

# pip installs uv; uv installs exactly what the lock file says, compiled, since uncompiled imports take three times as long.
# The stamp is there only while the environment is whole: what Ctrl-C or a full disk has cut short is made anew, since pip
# and uv take a package of which they see a part for installed.
$(INSTALLED): pyproject.toml requirements-dev.lock
	@test -e $@ || $(PYTHON) -c '$(OLD)'
	@test -e $@ || { $(call step,1,making $(VENV),$(PYTHON) -m venv --clear $(VENV)); }
	@rm -f $@
	@$(call step,2,fetching uv,$(BIN)/python -m pip install --quiet --disable-pip-version-check uv)
	@$(call step,3,installing the packages of requirements-dev.lock,$(BIN)/uv pip sync --quiet --python $(BIN)/python \
	  --require-hashes --compile-bytecode requirements-dev.lock)
	@$(call step,4,installing the platform,$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	  --no-build-isolation --editable .)
	@touch $@

# Each lock constrains the next, so that serving, the platform and the tests agree on every version.
UV_LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: $(INSTALLED) ## renew the hashed lock files
	$(UV_LOCK) --extra platform --extra dev pyproject.toml --output-file requirements-dev.lock
	$(UV_LOCK) --extra platform pyproject.toml --constraint requirements-dev.lock --output-file requirements.lock
	$(UV_LOCK) pyproject.toml --constraint requirements-dev.lock --output-file requirements-serving.lock
	$(UV_LOCK) --group image --constraint requirements-dev.lock --output-file deploy/requirements-build.lock

clean: ## remove what was set up, and the platform's home
	rm -rf $(VENV) .churn .mypy_cache .ruff_cache .hypothesis dist
