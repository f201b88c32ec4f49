# What a newcomer, a maintainer and CI call. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_BIN := .venv/bin/python
# Skipping a test is no way to pass: the plugin fails the run. Attacks and faults are told in a table.
PYTEST := $(PYTHON_BIN) -m pytest -p scripts.no_skips -p scripts.shown
# Lab tests mostly wait for hosts: three labs beside each other, a file of tests as a whole on one of them.
BESIDE := -n 3 --dist loadfile --no-loadscope-reorder
SUPPLY_CHAIN := .venv/locked/supply-chain/bin
LAB_HOSTS ?= gw1:fresh,agent1:agent
# Of what uv could write into a lock file: nothing that names this machine or its package index.
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url

.PHONY: help setup lab lab-down test test-full test-attack test-faults test-unit test-code test-hosts test-quick test-client test-client-httpx2 test-lab check-server bench bench-backup bench-migration bench-client bench-load sbom audit lint format types lock tiktoken clean

help: ## list these commands
	@echo 'make …'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install all that the rest needs: Debian's packages, .venv (nothing when it is there)
	@PYTHON='$(PYTHON)' scripts/setup.sh

lab: setup ## a disposable host, deployed, verified and checked; it is left running (LAB_HOSTS=name:profile,…)
	@$(PYTHON_BIN) -m lab up --hosts $(LAB_HOSTS)
	@.venv/bin/pyinfra -y lab/inventory.py deploy.py
	@$(MAKE) check-server INVENTORY=lab/inventory.py
	@$(PYTHON_BIN) -m lab status

lab-down: setup ## take the lab down (images stay as a cache: python -m lab down --purge)
	@$(PYTHON_BIN) -m lab down

test: lint types audit sbom ## lint, types, unit and lab tests: all that takes minutes
	@$(MAKE) --jobs=2 test-client test-client-httpx2
	@$(MAKE) --jobs=2 test-code test-hosts

# Two beside each other: the client's tests wait for clocks, so nothing else runs then; of the others, the one keeps a
# processor busy, and the other waits for hosts. What one of two prints is shown as one, at its end.
TOLD_AT_END = told=$$($(1) 2>&1) || code=$$?; printf '\n%s\n' "$$told"; exit $${code:-0}

test-code: setup
	@$(call TOLD_AT_END,$(PYTEST) -q -m 'not full' tests/unit)

test-hosts: setup
	@$(PYTEST) $(BESIDE) -m 'not full' tests/lab

test-full: lint types audit sbom ## all of it, the long walks too; it renews docs/attacks-and-faults.md
	@$(MAKE) test-client-httpx2
	@seed=$$(date +%s); echo "fuzzing anew: FUZZ_ANEW=yes .venv/bin/pytest --hypothesis-seed=$$seed tests/unit repeats it"; \
	    FUZZ_ANEW=yes $(PYTEST) -q --hypothesis-seed=$$seed tests/unit tests/client
	@$(PYTEST) $(BESIDE) --keep-shown tests/lab

test-attack: setup ## attack the gateway from all sides; it renews docs/attacks-and-faults.md
	@$(PYTEST) $(BESIDE) --keep-shown -m attack tests/lab $(ARGS)

test-faults: setup ## break what can break around the gateway; it renews docs/attacks-and-faults.md
	@$(PYTEST) $(BESIDE) --keep-shown -m fault tests/lab $(ARGS)

test-unit: setup ## what takes a minute and needs no Docker; for one file, .venv/bin/pytest tests/unit/test_….py
	@$(MAKE) --jobs=2 test-quick test-client

test-quick: setup
	@$(PYTEST) -q -m 'not full and not slow' tests/unit

test-client: setup
	@$(call TOLD_AT_END,$(PYTEST) -q tests/client)

test-client-httpx2: setup ## the tests of the client where httpx2 stands in for httpx
	@$(call TOLD_AT_END,$(PYTEST) -p scripts.without_httpx -q tests/client)

test-lab: setup ## the tests on lab hosts (ARGS=… goes to pytest)
	@$(PYTEST) $(BESIDE) tests/lab $(ARGS)

check-server: setup ## check a deployed server, INVENTORY=inventory.py, and change nothing on it
	@test -n '$(INVENTORY)' || { echo 'which servers? make check-server INVENTORY=inventory.py' >&2; exit 2; }
	@$(PYTEST) tests/server --inventory='$(INVENTORY)' $(ARGS)

bench: setup bench-client bench-backup bench-migration ## how long a run takes, beside a bash script over ssh that checks the same (needs make lab)
	@$(PYTHON_BIN) -m bench

bench-backup: setup ## a backup of 500 MB under load, beside SQLite's own (needs make lab; BENCH_ROUNDS=3)
	@$(PYTHON_BIN) -m bench.backup

bench-migration: setup ## how long nobody serves while a gateway with 500 MB moves to another host (in a lab of its own)
	@$(PYTHON_BIN) -m bench.migration

bench-load: setup ## what the deployment costs 200 clients at once, beside a bare container (needs make lab; BENCH_SECONDS=120)
	@$(PYTHON_BIN) -m bench.host_cost

bench-client: setup ## what a call of the client costs, beside raw httpx, openai and litellm (BENCH_ROUNDS=7)
	@scripts/environments.sh bench-openai bench-litellm
	@$(PYTHON_BIN) -m bench.clients

sbom: setup ## a CycloneDX bill of the control machine's packages and the hosts' images (INVENTORY=inventory.py)
	@scripts/environments.sh supply-chain
	@$(PYTHON_BIN) -m scripts.sbom $(SUPPLY_CHAIN) requirements/runtime.txt '$(or $(INVENTORY),inventory.py)' >sbom.cdx.json.new
	@mv sbom.cdx.json.new sbom.cdx.json

audit: setup ## ask whether a locked package has a known vulnerability; says where that cannot be known
	@scripts/environments.sh supply-chain
	@$(PYTHON_BIN) -m scripts.audit $(SUPPLY_CHAIN)/pip-audit requirements/runtime.txt \
		$(filter-out requirements/runtime.txt,$(wildcard requirements/*.txt))

lint: setup ## ruff: mistakes and layout
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check . || { echo 'make format mends the layout' >&2; exit 1; }

format: setup ## ruff: lay out the code and mend what can be mended
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

types: setup ## mypy, strict
	@.venv/bin/mypy

lock: setup ## the newest packages that requirements/*.in allow, into the lock files
	@cd requirements && ../$(COMPILE) --upgrade runtime.in -o runtime.txt
	@cd requirements && ../$(COMPILE) --upgrade dev.in -o dev.txt
	@cd requirements && ../$(COMPILE) --upgrade bench-openai.in -o bench-openai.txt
	@cd requirements && ../$(COMPILE) --upgrade bench-litellm.in -o bench-litellm.txt
	@cd requirements && ../$(COMPILE) --upgrade supply-chain.in -o supply-chain.txt
	@cd requirements && ../$(COMPILE) --upgrade --no-deps tiktoken.in -o tiktoken.txt
	@cd requirements && ../$(COMPILE) --upgrade --no-deps upstream.in -o upstream.txt

tiktoken: setup ## fetch the tiktoken files that a gateway needs before its first start
	@$(PYTHON_BIN) -m gateway.tiktoken

clean: ## remove .venv and what tools left behind (not the lab: make lab-down)
	@rm -rf .venv sbom.cdx.json* .pytest_cache .mypy_cache .ruff_cache .hypothesis pyinfra-debug.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
