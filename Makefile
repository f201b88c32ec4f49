# What a newcomer, a maintainer and CI call. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_BIN := .venv/bin/python
# Skipping a test is no way to pass: the plugin fails the run.
PYTEST := $(PYTHON_BIN) -m pytest -p scripts.no_skips
# Lab tests mostly wait for hosts: two labs beside each other, a file of tests as a whole on one of them.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder
LAB_HOSTS ?= gw1:fresh,agent1:agent
# Of what uv could write into a lock file: nothing that names this machine or its package index.
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url

.PHONY: help setup lab lab-down test test-unit test-client-httpx2 test-lab check-server bench bench-backup bench-migration bench-client lint format types lock tiktoken clean

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

test: lint types ## all of it: lint, types, unit and lab tests
	@$(MAKE) test-client-httpx2
	@$(PYTEST) -q tests/unit tests/client $(ARGS)
	@$(PYTEST) $(BESIDE) tests/lab $(ARGS)

test-unit: setup ## the tests that need no Docker (ARGS=… goes to pytest)
	@$(MAKE) test-client-httpx2
	@$(PYTEST) tests/unit tests/client $(ARGS)

test-client-httpx2: setup ## the tests of the client where httpx2 stands in for httpx
	@$(PYTEST) -p scripts.without_httpx -q tests/client

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

bench-client: setup ## what a call of the client costs, beside raw httpx, openai and litellm (BENCH_ROUNDS=7)
	@scripts/bench_environments.sh
	@$(PYTHON_BIN) -m bench.clients

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
	@cd requirements && ../$(COMPILE) --upgrade --no-deps tiktoken.in -o tiktoken.txt
	@cd requirements && ../$(COMPILE) --upgrade --no-deps upstream.in -o upstream.txt

tiktoken: setup ## fetch the tiktoken files that a gateway needs before its first start
	@$(PYTHON_BIN) -m gateway.tiktoken

clean: ## remove .venv and what tools left behind (not the lab: make lab-down)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis pyinfra-debug.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
