# Few targets, each one a thing a developer does. `make` alone lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test format lint types bench screenshots clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or newer: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && apt-get install --yes --quiet python3-venv; } || { echo "Python has no ensurepip: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

demo: $(VENV)/.ready ## set up, then replay real flights through the gateway (DEMO="--full" for the whole year)
	$(BIN)/watchkeeper demo $(or $(DEMO),--fast)

# The real Prometheus and Alertmanager, which the tests start themselves: RUNLEVEL keeps the packages from doing so. The
# browsers look at the dashboard. Java is what Spark runs on.
PARTS := prometheus prometheus-alertmanager chromium firefox-esr
PACKAGES := $(PARTS) openjdk-17-jre-headless
$(VENV)/.parts: | $(VENV)/.ready
	@(for part in $(PARTS) java; do command -v $$part >/dev/null || exit 1; done) || \
	  { test "$$(id -u)" = 0 && { apt-get update --quiet || true; } && \
	    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $(PACKAGES); } || \
	  { echo "the tests need Prometheus, Alertmanager, two browsers and Java: apt-get install $(PACKAGES)"; exit 1; }
	@touch $@

test: $(VENV)/.ready $(VENV)/.parts ## set up, then lint, types and the whole test suite
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST)

format: $(VENV)/.ready ## format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.ready ## ruff and the layers contract
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.ready ## mypy --strict
	$(BIN)/mypy

bench: $(VENV)/.ready ## run every claim's script (BENCH=recording for one)
	@for f in benchmarks/$(or $(BENCH),*).py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

screenshots: $(VENV)/.ready $(VENV)/.parts ## photograph the dashboard for the documentation
	$(BIN)/python -m docs.screenshots

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
