# The two commands: `make demo` shows the whole system at work on this machine, `make test` checks all of it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-local.txt functions/constraints.txt
INSTALLED := $(VENV)/installed-$(shell cat $(REQUIREMENTS) | cksum | cut -d' ' -f1)
SOURCES := __main__.py settings.py contracts components functions etl training operations local emulator tests benchmarks

.PHONY: help setup demo test lint types check bench clean

help:
	@echo "make demo    run the whole system on this machine (ARGS=... for python -m local)"
	@echo "make test    lint, types and all tests"
	@echo "make bench   the benchmarks' tables"
	@echo "make clean   remove the virtual environment and what was built"

setup: $(INSTALLED)

$(INSTALLED): $(REQUIREMENTS)
	@scripts/system-packages.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-local.txt
	@rm -f $(VENV)/installed-*
	@touch $@

demo: setup
	@$(BIN)/python -m local $(ARGS)

test: setup lint types
	@tools/pulumi/build.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy $(SOURCES)

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis
