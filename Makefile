# `make demo` shows the whole system at work on this machine, `make shop` opens it to visitors, `make test` checks all of it.

PYTHON ?= python3
VENV := .venv
AUDIT_VENV := .venv-audit
FUZZ_SECONDS ?= 300
BIN := $(VENV)/bin
SOURCES := __main__.py settings.py contracts components functions etl training operations storefront local emulator acceptance audit tests benchmarks

.PHONY: help setup-local setup-test setup-bench demo shop test lint types bench audit clean

help:
	@echo "make demo    run the whole system on this machine (ARGS=... for python -m local)"
	@echo "make shop    bring the system up, and open a storefront and a console in the browser"
	@echo "make test    lint, types and all tests"
	@echo "make bench   the benchmarks' tables"
	@echo "make audit   outside scanners over stacks, code and packages, five minutes of attacks on each handler (ARGS=--offline: without what asks pypi.org)"
	@echo "make clean   remove earlier runs' folders, the virtual environment and what was built"

setup-local setup-test setup-bench: setup-%:
	@PYTHON="$(PYTHON)" scripts/set-up.sh $*

demo: setup-local
	@$(BIN)/python -m local $(ARGS)

shop: setup-local
	@$(BIN)/python -m local shop $(ARGS)

test: setup-test lint types
	@tools/pulumi/build.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-test
	$(BIN)/mypy $(SOURCES)

bench: setup-bench
	$(BIN)/python -m benchmarks $(ARGS)

# checkov pins packages that ours would fight with, so the scanners have an environment of their own.
$(AUDIT_VENV)/installed: requirements-audit.txt
	@$(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-audit.txt
	@touch $@

audit: setup-test $(AUDIT_VENV)/installed
	$(BIN)/python -m audit --tools $(AUDIT_VENV)/bin $(ARGS)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz

clean:
	-@[ ! -x $(BIN)/python ] || $(BIN)/python -m local clean
	rm -rf $(VENV) $(AUDIT_VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis
