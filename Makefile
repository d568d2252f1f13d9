# One environment, made when something needs it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
IMAGE ?=
OUTPUT ?= demo.tar
BENCH ?=
MUTANTS ?=
FAULTS ?=
COUNT ?= 20000
SEED ?=
WORKERS ?= 4

# The tests start Python more than a thousand times, and to compile everything anew would be two fifths of each start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL = help
.PHONY: help demo dev format lint test mutants fuzz patchfuzz integration e2e engines coverage bench fixtures faults referees picture data man build clean check

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## save an image to demo.tar, verify it and list it; IMAGE=quay.io/x/y takes a real one
	@$(BIN)/python -m tests.demo $(OUTPUT) $(IMAGE)

dev: $(VENV)/.dev ## make the environment for development

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## ruff, and mypy --strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(VENV)/.test ## all tests; those that need a tool that is not installed skip and say which
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

mutants: $(VENV)/.test ## break each check on purpose; fails unless a test notices
	$(BIN)/python -m tests.mutants $(MUTANTS)

fuzz: $(VENV)/.test ## compare verify with all readers on archives made by chance; COUNT=1000000 SEED=7
	$(BIN)/python -m tests.oracle --count $(COUNT) $(addprefix --seed ,$(SEED))

patchfuzz: $(VENV)/.test ## apply patches made by chance, and compare with a second reader; COUNT=100000 SEED=7
	$(BIN)/python -m tests.patchfuzz --count $(COUNT) $(addprefix --seed ,$(SEED))

integration: $(VENV)/.test ## the tests against a real registry
	$(BIN)/python -m pytest tests/integration

e2e: $(VENV)/.test ## the tests with docker, podman, skopeo and containerd; a missing tool is a failure
	IMGFETCH_REQUIRE_TOOLS=1 $(BIN)/python -m pytest tests/e2e

engines: $(VENV)/.test ## get newer engines and signers for the tests from Debian, once; needs root, debootstrap and 1 GB
	@IMGFETCH_REQUIRE_TOOLS=1 $(BIN)/python -m tests.modern
	@IMGFETCH_REQUIRE_TOOLS=1 $(BIN)/python -m tests.debs

coverage: $(VENV)/.dev ## branch coverage of imgfetch/
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# truststore is for the earlier revision that is measured beside this one.
bench: $(VENV)/.test ## measure speed, memory and growth; BENCH=--list, BENCH="--case cold --rounds 3", BENCH=--docs, BENCH=--patches
	$(PYTHON) -m venv --clear $(VENV)/bench
	$(VENV)/bench/bin/python -m pip install --quiet '.[patch]' truststore
	$(BIN)/python -m tests.bench --imgfetch $(VENV)/bench/bin/imgfetch $(BENCH)

fixtures: $(VENV)/.test ## make the generated fixtures anew, bit for bit
	$(BIN)/python -m tests.make_fixtures

faults: $(VENV)/.test ## a registry on the loopback that breaks in all known ways, and what is expected, until Ctrl-C
	@$(BIN)/python -m tests.faults

referees: $(VENV)/.test ## record how crane, docker and skopeo fare with new faults; needs the tree of make engines
	@IMGFETCH_REQUIRE_TOOLS=1 $(BIN)/python -m tests.referees $(FAULTS)

picture: $(VENV)/.run ## draw docs/terminal.svg, the README's picture, from a real run
	@$(BIN)/python -m tests.picture

data: $(VENV)/.test ## make the manual page and the completions in imgfetch/data/ anew
	@$(BIN)/python -m tests.make_data

man: build/imgfetch.1 ## the manual page, in build/, by go-md2man

build/imgfetch.1: docs/imgfetch.1.md
	mkdir -p build
	go-md2man -in $< -out $@

build: $(VENV)/.dev ## sdist and wheel, in dist/
	$(BIN)/python -m build

clean: ## remove what was made
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache demo.tar
	find imgfetch tests -name __pycache__ -prune -exec rm -rf {} +

check: lint test ## what one runs before a commit

# pip searches for minutes before it reports an old Python, and venv leaves half an environment without ensurepip, which
# Debian has in a package of its own.  So both are checked first.
REQUIRE_PYTHON = import sys; sys.exit(None if sys.version_info >= (3, 11) else \
  "imgfetch needs Python 3.11 or later, and %s is %d.%d; try: make clean demo PYTHON=python3.11" \
  % ((sys.executable,) + tuple(sys.version_info[:2])))
REQUIRE_ENSUREPIP = import importlib.util, sys; sys.exit(None if importlib.util.find_spec("ensurepip") else \
  "%s cannot make a virtual environment, because ensurepip is missing; on Debian and Ubuntu: apt install python3-venv" \
  % sys.executable)

# An environment without pip is completed, such as one that an interrupted run has left.
$(VENV)/.run: setup.cfg
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || { $(PYTHON) -c '$(REQUIRE_PYTHON)' && \
	  $(PYTHON) -c '$(REQUIRE_ENSUREPIP)' && set -x && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c '$(REQUIRE_PYTHON)'
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run setup.cfg
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test setup.cfg
	$(BIN)/python -m pip install --quiet --editable '.[test,dev]'
	@touch $@
