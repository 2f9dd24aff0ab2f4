# The tasks of a developer. `make` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv --no-progress --no-python-downloads

# Without bytecode files every process that a test starts compiles its imports: 6 s of CPU more per server.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo static check test touched coverage nightly lock changelog dist format bench screenshots clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# pip fetches uv and nothing else; uv installs what uv.lock names. --inexact keeps both installed.
$(VENV)/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or newer: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && apt-get install --yes --quiet python3-venv; } || { echo "Python has no ensurepip: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
	$(UV) sync --quiet --frozen --inexact
	@touch $@

demo: $(VENV)/.ready ## set up, then replay real flights through the gateway (DEMO="--full" for the whole year)
	$(BIN)/watchkeeper demo $(or $(DEMO),--fast)

# The real Prometheus and Alertmanager, which the tests start themselves: RUNLEVEL keeps the packages from doing so. The
# browsers open the dashboard, and Java runs Spark. A missing package fails tests/test_packaging.py.
PARTS := prometheus prometheus-alertmanager chromium firefox-esr java
PACKAGES := prometheus prometheus-alertmanager chromium firefox-esr openjdk-17-jre-headless
$(VENV)/.parts: | $(VENV)/.ready
	@(for part in $(PARTS); do command -v $$part >/dev/null || exit 1; done) || \
	  { test "$$(id -u)" = 0 && { apt-get update --quiet || true; } && \
	    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $(PACKAGES); } || \
	  echo "the tests need Prometheus, Alertmanager, two browsers and Java: apt-get install $(PACKAGES)"
	@touch $@

# Folders of the package and of tests/ with pure functions: no server, no store, no process.
PURE := charts drift experiments health incidents profiles quality readiness records rollouts stats timelines
QUICK := --numprocesses auto --maxprocesses 4 -m "not slow and not nightly" \
  $(wildcard $(PURE:%=src/watchkeeper/%) $(PURE:%=tests/%)) $(addprefix tests/test_,access.py clock.py config.py fingerprints.py import.py packaging.py)
# One worker more than there are cores: many tests wait for a process or a program that they started.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ALL := --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

static: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m tests.docstrings
	$(BIN)/mypy

check: static ## format, lint, layers, docstrings, types, unit and property tests
	$(BIN)/pytest $(QUICK) $(PYTEST)

test: static $(VENV)/.parts ## set up, then the static checks and the whole test suite
	$(BIN)/pytest $(ALL) $(PYTEST)

touched: $(VENV)/.ready ## test the changed packages (BASE=main)
	$(BIN)/python -m tests.touched $(or $(BASE),main) $(PYTEST)

coverage: $(VENV)/.ready $(VENV)/.parts ## the whole suite with coverage and its minimum
	$(BIN)/pytest $(ALL) --cov --cov-report=term:skip-covered $(PYTEST)

nightly: $(VENV)/.ready $(VENV)/.parts ## checks that take too long for every change; commit benchmarks/results/nightly.json
	$(BIN)/python -m tests.nightly $(NIGHTLY)

lock: $(VENV)/.ready ## update the lock file from the public index
	$(UV) lock --upgrade

changelog: $(VENV)/.ready ## show the changelog of the fragments in changes/
	$(BIN)/towncrier build --draft --version next

dist: $(VENV)/.ready ## build the wheel and the source distribution
	$(UV) build --quiet

format: $(VENV)/.ready ## format, and fix the findings of ruff that it can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready ## run all benchmarks (BENCH=recording for one)
	@for f in $(filter-out benchmarks/figures.py,$(wildcard benchmarks/$(or $(BENCH),*).py)); do echo "== $$f"; $(BIN)/python $$f || exit 1; done

screenshots: $(VENV)/.ready $(VENV)/.parts ## take the screenshots of the dashboard for the documentation
	$(BIN)/python -m docs.screenshots

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
