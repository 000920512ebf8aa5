# `make demo` and `make test` are the whole set-up: both create .venv and install what they need.

PYTHON ?= python3
BIN := .venv/bin

ifneq ($(shell command -v uv),)
CREATE = uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv
INSTALL = uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
else
CREATE = $(PYTHON) -m venv .venv
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
endif

# Two workers; which gets which tests, and in what order, is in tests/conftest.py.
TWO = -n 2 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test nightly lint types docs bench-check

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1 \t/p' $(MAKEFILE_LIST)

demo: .venv/installed  ## Train, evaluate and report the suite GMB-quick-v1 (a few minutes)
	$(BIN)/gmbench run GMB-quick-v1

test: .venv/installed-dev  ## Run the tests
	$(BIN)/python -m pytest $(TWO)

nightly: .venv/installed-dev  ## Run what is too slow for every change (hours)
	GMBENCH_TEST_COMPILE=full $(BIN)/python -m pytest $(TWO) -m nightly

lint: .venv/installed-dev  ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/installed-dev  ## Check types, strictly
	@mkdir -p .cache/types/gmbench
	@ln -sfn ../../../envs .cache/types/gmbench/envs
	@ln -sfn ../../../agents .cache/types/gmbench/agents
	$(BIN)/mypy

docs: .venv/installed-dev  ## Write the documentation as a site, to docs/_build/html
	@rm -rf docs/api
	JAX_PLATFORMS=cpu $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --jobs 2 \
		--conf-dir docs . docs/_build/html

bench-check: .venv/installed-dev  ## Compare speed ratios with the committed ones (idle machine)
	$(BIN)/python benchmarks/check.py

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "gmbench needs Python 3.11 or newer; $(PYTHON) is not found" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"gmbench needs Python 3.11 or newer; $(PYTHON) is %s. Name another: make $(MAKECMDGOALS) \
	PYTHON=python3.12" % sys.version.split()[0])'
	$(CREATE)

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/installed
