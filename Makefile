# Two commands do everything on a fresh machine with Python 3.11 or newer:
#   make run    set up, then run the showcase scenario
#   make test   set up, then run the tests
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test quick lint docs bench clean

run: .venv/run
	$(BIN)/evelab run showcase

test: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/docs
	$(BIN)/sphinx-build -W -q -b html docs docs/_build
	@echo "docs/_build/index.html"

bench: .venv/run
	$(BIN)/python benchmarks/range.py
	$(BIN)/python benchmarks/photonics.py
	$(BIN)/python benchmarks/postprocessing.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/rate.py

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "EveLab needs Python 3.11 or newer; got: $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

.venv/docs: .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@
