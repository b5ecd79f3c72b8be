# make setup, then everything else; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
# Its own environment, with the lowest versions that pyproject.toml allows.
LOWEST := .venv-lowest
# Overrides for `make run`, for instance: make run ARGS="seed=3 init.scale=1e-3"
ARGS ?=
# Processes that run the tests; the tests of a file share their fixtures in one of them, each on one thread.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile

# The longest first, so that both processes are busy to the end.
FIGURES := relu $(filter-out relu,$(sort $(basename $(notdir $(wildcard configs/experiment/paper/*.yaml)))))

# One preset for each network, for `make agreement`.
NETWORKS := diagonal_5d diagonal_deep linear_commuting linear_noncommuting attention_rank_one attention_rank_two \
	relu_orthogonal modadd_small_scale
COMMA := ,
SPACE := $(subst ,, )

.DEFAULT_GOAL := help
.PHONY: help setup run figures agreement test test-slow test-lowest lint bench docs notebook clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## create .venv and install agfrun in it (editable, with the developer tools)

# The stamp is written last: an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(VENV)/bin/python -m agfrun.labs.staircases.compiled
	touch $@

run: $(STAMP) ## the main experiment: quadratic network on modular addition
	$(VENV)/bin/agfrun model=quadratic_modadd $(ARGS)

figures: ## every figure of the paper: outputs/figures (about 4 minutes)
	$(MAKE) --no-print-directory --jobs=2 $(addprefix figure-,$(FIGURES))

# One figure, for instance: make figure-attention ARGS="study.seeds=3"
figure-%: $(STAMP)
	$(VENV)/bin/agfrun experiment=paper/$* $(ARGS)

agreement: $(STAMP) ## every prediction of every network: outputs/agreement, and the table of docs/agreement.md (about 25 minutes)
	$(VENV)/bin/agfrun -m study=agreement init=gaussian experiment=$(subst $(SPACE),$(COMMA),$(NETWORKS)) \
		hydra.sweep.dir=outputs/agreement overwrite=true $(ARGS)
	$(VENV)/bin/python docs/make_agreement.py outputs/agreement

test: $(STAMP) ## the fast tests
	$(PYTEST) -m "not slow"

test-slow: $(STAMP) ## the slow tests only
	$(PYTEST) -m slow

test-lowest: VENV := $(LOWEST)
test-lowest: $(LOWEST)/.installed ## the fast tests with the lowest versions allowed (needs Python 3.11)
	$(PYTEST) -m "not slow"

# Wheels of these versions were made for Python 3.11, not for later ones.
$(LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary \
		-c constraints-lowest.txt -e '.[dev]'
	touch $@

lint: $(STAMP) ## ruff and mypy (strict on the package)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Options, for instance: make bench ARGS="--only gradients,memory"
bench: $(STAMP) ## speed beside other ways: benchmarks/results (about 40 minutes; ARGS="--quick": 2)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(VENV)/bin/python -m benchmarks.run $(ARGS)

docs: $(DOCS_STAMP) ## the documentation's site, in site/
	$(VENV)/bin/python docs/tools/reference_pages.py
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

notebook: $(DOCS_STAMP) ## run docs/notebooks/tour.py into tour.ipynb
	OMP_NUM_THREADS=1 $(VENV)/bin/python docs/tools/build_notebook.py

$(DOCS_STAMP): $(STAMP)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

clean: ## remove .venv, .venv-lowest and caches; outputs stay
	rm -rf $(VENV) $(LOWEST) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find agfrun tests -type d -name __pycache__ -prune -exec rm -rf {} +
