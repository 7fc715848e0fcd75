# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?=
JOBS ?= 2
# Without reconstruction neither torch nor matplotlib is installed, and their tests are skipped.
EXTRAS ?= reconstruction,test,lint

.DEFAULT_GOAL := help
.PHONY: help demo test verify lint format prove setup clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(READY) ## Photons to picture through the simulated hardware: demo/report.html (DEMO="--quick" for the short one)
	$(BIN)/ptychopress demo $(DEMO)

test: $(READY) ## The test suite
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

verify: $(READY) ## The test suite with the long runs, every proof, coverage, and a sample of mutants
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[mutation]'
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal
	$(BIN)/ptychopress prove
	$(BIN)/ptychopress sim --coverage build/coverage
	$(BIN)/python benchmarks/mutation.py build/mutation.jsonl --sample 10
	$(BIN)/python benchmarks/model_mutation.py build/model-mutation --digits 7

lint: $(READY) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: $(READY) ## Rewrite the sources in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

prove: $(READY) ## Formal proofs
	$(BIN)/ptychopress prove

setup: $(READY) ## Prepare .venv, as demo and test do by themselves

$(READY): pyproject.toml constraints.txt
	@for tool in g++ make perl; do command -v $$tool >/dev/null || { \
		echo "ptychopress: $$tool is missing, the compiled simulations need it: apt-get install g++ make perl" >&2; \
		exit 2; }; done
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ptychopress: $(PYTHON) is older than Python 3.11: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

clean: ## Remove everything that was made here
	rm -rf $(VENV) demo build dist *.egg-info
