# dslab: `make help` lists what there is.
# Everything runs from .venv, which the first target that needs it sets up by itself.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
UV      := $(shell command -v uv 2>/dev/null)

# Options of `make lab-N` and of the targets around it, all optional:
BACKEND    ?=
SUBMISSION ?=
SEED       ?=
STEP       ?=
# Of `make test`:
JOBS         ?= 2
PYTEST_FLAGS ?=
TEST_FLAGS := $(if $(BACKEND),--backend $(BACKEND)) $(if $(SUBMISSION),--submission "$(SUBMISSION)") \
              $(if $(SEED),--seed $(SEED)) $(if $(STEP),--step $(STEP))

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z%-]+:.*## / {sub("%", "N", $$1); printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Options of lab-N: BACKEND=docker SUBMISSION=path SEED=s STEP=N.M"

.PHONY: setup
setup: $(VENV)/.ready ## Make .venv with what a student needs (done by itself on first use)

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; well under a minute with a fast network) ..."
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable .
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
endif
	@$(BIN)/python -m compileall -q -j 0 dslab # services write no bytecode: each start would compile dslab anew
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Adding the developer's tools to $(VENV) ..."
ifdef UV
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
else
	@test -x $(BIN)/pip || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

lab-%: $(VENV)/.ready ## Grade lab N: your files in labs/, or SUBMISSION=folder
	@$(BIN)/dslab test $* $(TEST_FLAGS)

watch-%: $(VENV)/.ready ## Grade lab N again on every save
	@$(BIN)/dslab watch $* $(TEST_FLAGS)

.PHONY: test
test: $(VENV)/.ready-dev ## Test the kit itself: everything (Docker and browser tests where these are there)
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(PYTEST_FLAGS)

.PHONY: check
check: $(VENV)/.ready-dev ## Lint, types, import contracts, skeletons, generated pages, proofs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dslab skeletons --check
	$(BIN)/dslab docs --check
	$(BIN)/dslab prove --check $(patsubst labs/%/PROOF.md,%,$(wildcard labs/*/PROOF.md))

.PHONY: coverage
coverage: $(VENV)/.ready-dev ## Branch coverage of the tests, subprocesses counted
	$(BIN)/coverage run -m pytest $(PYTEST_FLAGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --sort=cover

.PHONY: bench
bench: $(VENV)/.ready-dev ## Measure against peers, side by side, in one run
	@for bench in bench/[a-z]*.py; do $(BIN)/python $$bench || exit; done

.PHONY: docs
docs: $(VENV)/.ready-dev ## Refresh included code, tables, outputs and pictures in the pages
	$(BIN)/dslab docs

.PHONY: golden
golden: $(VENV)/.ready-dev ## Record anew what wrong submissions show on the terminal (review the diff)
	$(BIN)/pytest -n $(JOBS) tests/test_labs.py -k test_a_wrong_submission --record-golden

.PHONY: prove
prove: $(VENV)/.ready-dev ## Measure how often the grader is wrong; writes labs/*/PROOF.md (long)
	$(BIN)/dslab prove

.PHONY: images
images: $(VENV)/.ready ## Build the course image for BACKEND=docker (OFFLINE=1: without a registry)
	@$(BIN)/python docker/build.py $(if $(OFFLINE),--offline)

.PHONY: pins
pins: $(VENV)/.ready-dev ## Write constraints.txt from what .venv holds (after upgrading it)
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	  $(BIN)/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools; } > constraints.new
	@mv constraints.new constraints.txt

.PHONY: doctor
doctor: $(VENV)/.ready ## Look over this machine: what works, what is missing, how to get it
	@$(BIN)/dslab doctor

.PHONY: clean
clean: ## Remove what runs and builds left behind (not .venv, not your work)
	rm -rf .dslab/runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist build
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
