# Each target makes the environment first; a second run skips that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := assets inspection resources sensors serving vqi bench/serve $(wildcard bench/*.py definitions.py)

.PHONY: setup demo up down test lint lock clean

# The environment of `make test` holds all that the programs need: where it has been made, that will do.
RUNTIME := $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.runtime)

setup: $(VENV)/.dev

# A stamp is as new as the lock file it was made from: a changed lock installs again.
$(VENV)/.dev: requirements-dev.lock pyproject.toml
$(VENV)/.runtime: requirements.lock pyproject.toml
$(VENV)/.dev $(VENV)/.runtime:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ echo "the venv module is missing: install python3-venv" >&2; exit 2; }
	@echo "Installing the packages of $<; the first time takes minutes and 7 GB."
	$(BIN)/python -m pip install --quiet --requirement $<
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

# Everything, from raw plant data to verdicts; SOURCE=voc:DIR (coco, voc, yolo, folder) takes labelled images.
SOURCE ?= simulated
demo: $(RUNTIME)
	$(BIN)/vqi demo --source $(SOURCE)

up: $(RUNTIME)
	$(BIN)/vqi up

down:
	$(BIN)/vqi down

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(PACKAGES)

test: lint
	$(BIN)/python -m pytest

# Renews the exact versions after a change of pyproject.toml; needs uv on the path.
lock:
	uv pip compile -q --no-annotate --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile -q --no-annotate --no-header --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	for engine in cpu gpu; do uv pip compile -q --no-annotate --no-header --python-version 3.11 -c requirements.lock deploy/bento/requirements-$$engine.in -o deploy/bento/requirements-$$engine.lock; done

clean:
	rm -rf $(VENV)
