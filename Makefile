# make setup, then everything else; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# Overrides for `make run`, for instance: make run ARGS="seed=3 init.scale=1e-3"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow lint clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## create .venv and install agfrun in it (editable, with the developer tools)

# The stamp is written last: an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

run: $(STAMP) ## the main experiment: quadratic network on modular addition
	$(VENV)/bin/agfrun model=quadratic_modadd $(ARGS)

test: $(STAMP) ## the fast tests
	$(VENV)/bin/python -m pytest -m "not slow"

test-slow: $(STAMP) ## the slow tests only
	$(VENV)/bin/python -m pytest -m slow

lint: $(STAMP) ## ruff and mypy (strict on the package)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean: ## remove .venv and caches; outputs stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find agfrun tests -type d -name __pycache__ -prune -exec rm -rf {} +
