# The two commands: `make demo` shows the whole system at work on this machine, `make test` checks all of it.

PYTHON ?= python3
VENV := .venv
AUDIT_VENV := .venv-audit
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-local.txt functions/constraints.txt
INSTALLED := $(VENV)/installed-$(shell cat $(REQUIREMENTS) | cksum | cut -d' ' -f1)
SOURCES := __main__.py settings.py contracts components functions etl training operations local emulator audit tests benchmarks

.PHONY: help setup demo test lint types check bench audit clean

help:
	@echo "make demo    run the whole system on this machine (ARGS=... for python -m local)"
	@echo "make test    lint, types and all tests"
	@echo "make bench   the benchmarks' tables"
	@echo "make audit   outside scanners over stacks, code and packages (ARGS=--offline: without what asks pypi.org)"
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

# checkov pins packages that ours would fight with, so the scanners have an environment of their own.
$(AUDIT_VENV)/installed: requirements-audit.txt
	@$(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-audit.txt
	@touch $@

audit: setup $(AUDIT_VENV)/installed
	$(BIN)/python -m audit --tools $(AUDIT_VENV)/bin $(ARGS)

clean:
	rm -rf $(VENV) $(AUDIT_VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis
