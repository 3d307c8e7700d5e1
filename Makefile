# Every target works from a clean clone: the stamp files build .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A plain path entry: setuptools' import hook for editable installs costs 10 ms at every start.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat

.PHONY: help train test test-fast check format generated bench clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

train: $(VENV)/installed ## train on the bundled digits and print the test accuracy
	$(BIN)/netdef train configs/digits/solver.yaml

test: $(VENV)/installed-test ## run every test
	$(BIN)/python -m pytest -q

test-fast: $(VENV)/installed-test ## run the tests that are not marked slow
	$(BIN)/python -m pytest -q -m "not slow"

check: $(VENV)/installed-dev ## ruff (lint and format), mypy, generated files, the project's own nets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m netdef.spec.schema --check schemas
	$(BIN)/netdef lint configs

format: $(VENV)/installed-dev ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generated: $(VENV)/installed ## write schemas/ from the declarations
	$(BIN)/python -m netdef.spec.schema schemas

bench: $(VENV)/installed ## speed, start-up, memory, beside the peers that are installed; BENCH="--help" tells more
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(INSTALL) -e .
	$(BIN)/python -m compileall -q netdef
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) -e '.[dev]'
	@touch $@
