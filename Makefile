# All tasks. Needs only Python >= 3.11. `make help` lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The inputs of the venv: a change makes a new venv.
STAMP  := $(VENV)/made-from-$(shell cat requirements.txt requirements-dev.txt requirements-dev.lock | cksum | cut -d ' ' -f 1)
CHECKOV := $(VENV)-checkov/made-from-$(shell cksum < requirements-checkov.lock | cut -d ' ' -f 1)
MKDOCS := $(VENV)-docs/made-from-$(shell cksum < requirements-docs.lock | cut -d ' ' -f 1)

# All unit tests, on both processors. `--grants` fails a grant that no test needs, so it is only for a whole run.
UNIT := tests --ignore tests/e2e --ignore tests/browser --grants --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help venv run up down backup restore doctor demo test check audit fast unit e2e docs build bench soak format lock clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  PORT=8080 sets the front door's port, RESET=1 deletes the local state,"
	@echo "  TUNNEL=cloudflared, TUNNEL=ngrok or PUBLIC_URL=https://... makes the local cloud reachable from outside,"
	@echo "  CLOUD=http://127.0.0.1:4566 uses a running cloud (localstack-compose.yml)"

venv: $(STAMP) ## Make .venv from the lock file, unless it is up to date

run: $(STAMP) ## Build, start a local cloud, deploy, seed demo data, show an example and live events
	@exec $(BIN)/python -m infra.local run

up: $(STAMP) ## Start the same in the background
	@$(BIN)/python -m infra.local up

down: $(STAMP) ## Stop the local cloud; the state stays
	@$(BIN)/python -m infra.local down

backup: $(STAMP) ## Copy the local state to .local/backups, also while it runs
	@$(BIN)/python -m infra.local backup

restore: $(STAMP) ## Put the newest backup, or FROM=<directory>, in place of the local state
	@$(BIN)/python -m infra.local restore

doctor: $(STAMP) ## Check ports, disk, state, clock, backup and Telegram
	@$(BIN)/python -m infra.local doctor

demo: $(STAMP) ## Send one signal of each variant and show answers and orders (needs `make up` or `make run`)
	@$(BIN)/python -m infra.local.demo

# A machine that reaches only package mirrors has no advisories to look up. `make audit` alone fails there.
test: export TRADEHOOK_AUDIT_OFFLINE ?= true
test: check audit docs unit e2e ## Run all checks and tests: what a change must pass

check: $(STAMP) ## Check style, types and the layer rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m infra.lint
	$(BIN)/python -m infra.lint.api_document

audit: $(STAMP) ## Find known weaknesses in code and dependencies (Terraform: checkov, in `make unit`)
	$(BIN)/python -m infra.audit

fast: $(STAMP) ## Run unit tests without emulated cloud, server or other process, in half a minute
	$(BIN)/pytest tests/unit --fast --numprocesses 2

unit: $(STAMP) $(CHECKOV) ## Run tests that need no running stack; T=tests/unit/signals selects some
	TRADEHOOK_CHECKOV=$${TRADEHOOK_CHECKOV:-$(CURDIR)/$(VENV)-checkov/bin/checkov} $(BIN)/pytest $(or $(T),$(UNIT))

e2e: $(STAMP) ## Run tests against their own local cloud; VENUES=all for every exchange and market
	$(BIN)/pytest tests/e2e tests/browser

docs: $(MKDOCS) ## Build the documentation site into build/docs; every link is checked
	PYTHONPATH=$(CURDIR) NO_MKDOCS_2_WARNING=true $(VENV)-docs/bin/python -m mkdocs build --strict
	@echo "$(CURDIR)/build/docs/index.html"

build: $(STAMP) ## Build the release artifact for Lambda and the route document into build/lambda
	$(BIN)/python -m infra.build --target lambda

bench: $(STAMP) ## Run benchmarks: each figure against a baseline or a peer, with its limit
	$(BIN)/python -m bench

soak: $(STAMP) ## Run ten minutes of traffic with faults, then check all records; SEED=2 for other faults, SOAK_SECONDS for less
	$(BIN)/python -m bench soak --seed $(or $(SEED),1)

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## Write the lock files: every installed package with the hashes of its files
	for name in requirements requirements-dev requirements-checkov requirements-docs; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate $$name.txt -o $$name.lock; done

clean: ## Remove all build output and local state
	@[ ! -d $(VENV) ] || $(BIN)/python -m infra.local down
	rm -rf $(VENV) $(VENV)-checkov $(VENV)-docs .local build .mypy_cache .ruff_cache .pytest_cache

# uv takes seconds, pip a minute. Without uv, pip installs.
$(STAMP): requirements.txt requirements-dev.txt requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo "making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(CHECKOV): requirements-checkov.lock $(STAMP)
	@echo "making $(VENV)-checkov ..."
	@$(PYTHON) -m venv --clear $(VENV)-checkov
	@$(BIN)/uv pip install --quiet --python $(VENV)-checkov/bin/python --require-hashes -r requirements-checkov.lock 2>/dev/null \
	  || $(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-checkov.lock
	@touch $@

$(MKDOCS): requirements-docs.lock $(STAMP)
	@echo "making $(VENV)-docs ..."
	@$(PYTHON) -m venv --clear $(VENV)-docs
	@$(BIN)/uv pip install --quiet --python $(VENV)-docs/bin/python --require-hashes -r requirements-docs.lock 2>/dev/null \
	  || $(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@
