# What a newcomer, a maintainer and CI call. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_BIN := .venv/bin/python
# What a person who deploys calls, too, needs the packages of requirements/runtime.txt, in whichever environment these are,
# and leaves that one as it is: no `setup`, which is for developers, brings Docker, and makes .venv its own.
# Asked anew each time, by a shell: where `make test` begins in a fresh clone there is no .venv yet, and make remembers that.
RUNTIME = $(shell for python in $(PYTHON_BIN) $${VIRTUAL_ENV:+"$$VIRTUAL_ENV/bin/python"}; do \
	[ ! -x "$$python" ] || { echo "$$python"; exit; }; done; echo python3)
NEEDS_RUNTIME = @$(RUNTIME) -c 'import pyinfra' 2>/dev/null || { \
	echo 'no pyinfra for $(RUNTIME): python3 -m venv .venv && .venv/bin/pip install -r requirements/runtime.txt' >&2; exit 1; }
# Skipping a test is no way to pass: the plugin fails the run. Attacks and faults are told in a table.
PYTEST := $(PYTHON_BIN) -m pytest -p scripts.no_skips -p scripts.shown
# Lab tests mostly wait for hosts: three labs beside each other, a file of tests as a whole on one of them.
BESIDE := -n 3 --dist loadfile --no-loadscope-reorder
SUPPLY_CHAIN := .venv/locked/supply-chain/bin
LAB_HOSTS ?= gw1:fresh,agent1:openclaw
# Of what uv could write into a lock file: nothing that names this machine or its package index.
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url

.PHONY: help setup lab lab-down test test-full test-flavours test-attack test-faults test-unit test-code test-hosts test-quick test-client test-client-httpx2 test-client-versions test-runtimes test-tailnet test-lab check-server bench bench-backup bench-migration bench-new-api bench-client bench-load bench-pruning bench-canary bench-tokens bench-usage bench-page sbom audit docs pictures release lint lint-python lint-imports lint-generated lint-shell lint-words lint-pages format generated types lock tiktoken clean

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
	@$(MAKE) --jobs=2 test-client test-client-httpx2 test-client-versions
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
	@$(MAKE) test-flavours

test-flavours: setup ## what a gateway of either software has to do, on one of new-api: everything else tries One API
	@LAB_GATEWAY=new-api,one-api $(PYTEST) $(BESIDE) -m 'flavours and not full' tests/lab $(ARGS)

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

test-client-versions: setup
	@$(call TOLD_AT_END,$(PYTHON_BIN) -m scripts.runtimes node18 node26 trio)

test-runtimes: setup ## the client on Node 18 to 26 and Python 3.11 to 3.14 (ARGS=node22, PYTHONS=/path/to/one:…); it renews docs/runtimes.md
	@$(PYTHON_BIN) -m scripts.runtimes --keep $(ARGS)

test-tailnet: setup ## what Tailscale does to a gateway, on real tailscaleds (built once, some minutes)
	@LAB_TAILNET=real $(PYTEST) --keep-shown tests/lab/test_tailnet.py tests/lab/test_tailnet_real.py $(ARGS)

test-lab: setup ## the tests on lab hosts (ARGS=… goes to pytest)
	@$(PYTEST) $(BESIDE) tests/lab $(ARGS)

check-server: ## check a deployed server, INVENTORY=inventory.py, and change nothing on it
	@test -n '$(INVENTORY)' || { echo 'which servers? make check-server INVENTORY=inventory.py' >&2; exit 2; }
	@[ -e .venv/.stamp ] || scripts/environments.sh check-server
	@python=.venv/locked/check-server/bin/python; [ ! -e .venv/.stamp ] || python=$(PYTHON_BIN); \
	    $$python -m pytest -p scripts.no_skips -p scripts.shown tests/server --inventory='$(INVENTORY)' $(ARGS)

bench: setup bench-client bench-backup bench-migration bench-new-api ## how long a run takes, beside bash over ssh and Ansible that check the same (needs make lab)
	@scripts/environments.sh bench-ansible
	@$(PYTHON_BIN) -m bench

bench-backup: setup ## a backup of 500 MB under load, beside SQLite's own (needs make lab; BENCH_ROUNDS=3)
	@$(PYTHON_BIN) -m bench.backup

bench-migration: setup ## how long nobody serves while a gateway with 500 MB moves to another host (in a lab of its own)
	@$(PYTHON_BIN) -m bench.migration

bench-new-api: setup ## how long nobody serves while One API with 500 MB becomes new-api, beside an upgrade of One API (in a lab of its own; BENCH_ROUNDS=2)
	@$(PYTHON_BIN) -m bench.flavour_move

bench-load: setup ## what the deployment costs 200 clients at once, beside a bare container (needs make lab; BENCH_SECONDS=120)
	@$(PYTHON_BIN) -m bench.host_cost

bench-pruning: setup ## a million rows of the log are pruned while 10 clients ask (needs make lab; BENCH_ROWS, BENCH_SECONDS)
	@$(PYTHON_BIN) -m bench.pruning

bench-canary: setup ## what a look of the canary costs the host, beside an older commit's (needs make lab; AGAINST, BENCH_TURNS)
	@$(PYTHON_BIN) -m bench.canary

bench-tokens: setup ## what estimating the tokens of a long Chinese prompt saves (needs make lab, with the real image)
	@$(PYTHON_BIN) -m bench.token_counting

bench-usage: setup ## a report of a million rows of the log, beside one statement of sqlite3 (BENCH_ROUNDS, BENCH_ROWS)
	@$(PYTHON_BIN) -m bench.usage

bench-page: setup ## the page of 50 gateways beside that of one, from recorded answers (BENCH_ROUNDS=7)
	@$(PYTHON_BIN) -m bench.page

bench-client: setup ## what a call of the client costs, beside raw httpx, openai and litellm (BENCH_ROUNDS=7); or AGAINST=COMMIT
	@scripts/environments.sh bench-openai $(if $(AGAINST),,bench-litellm)
	@$(PYTHON_BIN) -m $(if $(AGAINST),bench.against '$(AGAINST)',bench.clients)

sbom: ## a CycloneDX bill of the control machine's packages and the hosts' images (INVENTORY=inventory.py)
	$(NEEDS_RUNTIME)
	@scripts/environments.sh supply-chain
	@$(RUNTIME) -m scripts.sbom $(SUPPLY_CHAIN) requirements/runtime.txt '$(or $(INVENTORY),inventory.py)' >sbom.cdx.json.new
	@mv sbom.cdx.json.new sbom.cdx.json

audit: ## ask whether a locked package has a known vulnerability; says where that cannot be known
	@scripts/environments.sh supply-chain
	@$(RUNTIME) -m scripts.audit $(SUPPLY_CHAIN)/pip-audit requirements/runtime.txt \
		$(filter-out requirements/runtime.txt,$(wildcard requirements/*.txt))

docs: ## the pages of docs/ as a site in English and Chinese, site/index.html; a link that leads nowhere ends it
	@scripts/environments.sh docs
	@$(RUNTIME) -m scripts.docs_site .venv/locked/docs/bin/zensical site

release: ## wheels, sdists, SBOM and checksums of this commit in dist/, the same bytes each time; it says what to do next
	$(NEEDS_RUNTIME)
	@$(RUNTIME) -m scripts.release check
	@scripts/environments.sh release
	@$(MAKE) sbom INVENTORY=inventory.py
	@$(RUNTIME) -m scripts.release make .venv/locked/release/bin/python sbom.cdx.json

lint: setup ## mistakes, layout, who imports whom, stale generated files, shell scripts, spelling: all that pre-commit looks at
	@$(MAKE) lint-python lint-imports lint-generated lint-shell lint-words lint-pages

lint-python:
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check . || { echo 'make format fixes the layout' >&2; exit 1; }

lint-imports:
	@told=$$(PYTHONPATH=client .venv/bin/lint-imports --no-logo) || { echo "$$told" >&2; exit 1; }

lint-generated:
	@$(PYTHON_BIN) -m scripts.generated --check

# Scripts without the ending .sh are told by their first line. .shellcheckrc, of each folder, has the rest.
lint-shell:
	@{ git ls-files '*.sh'; git grep -lE '^#!/.*\b(ba)?sh\b' -- .ci files lab/images; } | xargs -n 8 -P 4 .venv/bin/shellcheck --format=gcc

lint-words:
	@git ls-files | xargs .venv/bin/codespell

# A page may be older than its original and right: it is named, and fails nothing.
lint-pages:
	@$(PYTHON_BIN) -m scripts.old_pages

format: setup ## ruff: lay out the code and fix what can be fixed
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

pictures: setup ## take the documentation's pictures of the page of a fleet anew, in Chromium (apt: chromium, a font with Chinese)
	@$(PYTHON_BIN) -m scripts.page_pictures

generated: setup ## write what is made from the code: group_data/all.py, settings and commands in docs/, the client for threads
	@$(PYTHON_BIN) -m scripts.generated

types: setup ## mypy, strict
	@.venv/bin/mypy

lock: setup ## the newest packages that requirements/*.in allow, into the lock files
	@cd requirements && ../$(COMPILE) --upgrade runtime.in -o runtime.txt
	@cd requirements && ../$(COMPILE) --upgrade dev.in -o dev.txt
	@cd requirements && ../$(COMPILE) --constraint dev.txt check-server.in -o check-server.txt
	@cd requirements && ../$(COMPILE) --upgrade bench-openai.in -o bench-openai.txt
	@cd requirements && ../$(COMPILE) --upgrade bench-litellm.in -o bench-litellm.txt
	@cd requirements && ../$(COMPILE) --upgrade bench-ansible.in -o bench-ansible.txt
	@cd requirements && ../$(COMPILE) --upgrade supply-chain.in -o supply-chain.txt
	@cd requirements && ../$(COMPILE) --upgrade docs.in -o docs.txt
	@cd requirements && ../$(COMPILE) --constraint dev.txt release.in -o release.txt
	@cd requirements && ../$(COMPILE) --upgrade clients.in -o clients.txt
	@cd requirements && ../$(COMPILE) --constraint dev.txt memory.in -o memory.txt
	@cd requirements && ../$(COMPILE) --upgrade --no-deps tiktoken.in -o tiktoken.txt
	@cd requirements && ../$(COMPILE) --upgrade --no-deps upstream.in -o upstream.txt
	@cd requirements && ../$(COMPILE) --no-deps go.in -o go.txt

tiktoken: ## fetch the tiktoken files that a gateway needs before its first start
	$(NEEDS_RUNTIME)
	@$(RUNTIME) -m llm_gateway.parts.tiktoken

clean: ## remove .venv and what tools left behind (not the lab: make lab-down)
	@rm -rf .venv site dist dist.new sbom.cdx.json* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis pyinfra-debug.log
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
