# Everything by `make`; needs Python >= 3.11 and nothing else. `make help` lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The venv is made from these; another content, another venv.
STAMP  := $(VENV)/made-from-$(shell cat requirements.txt requirements-dev.txt requirements-dev.lock | cksum | cut -d ' ' -f 1)
CHECKOV := $(VENV)-checkov/made-from-$(shell cksum < requirements-checkov.lock | cut -d ' ' -f 1)

# All of the unit tests, on both processors. `--grants` fails a grant that no test needs, so it is for a whole run only.
UNIT := tests --ignore tests/e2e --ignore tests/browser --grants --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run up down backup restore doctor demo test check audit fast unit e2e build bench soak format lock clean

help: ## What there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@echo "  PORT=8080 moves the front door, RESET=1 forgets the local state,"
	@echo "  CLOUD=http://127.0.0.1:4566 takes a cloud that runs already (localstack-compose.yml)"

run: $(STAMP) ## Everything on this machine: build, local cloud, deploy, demo data, an example, live events
	@exec $(BIN)/python -m infra.local run

up: $(STAMP) ## The same in the background
	@$(BIN)/python -m infra.local up

down: $(STAMP) ## Its end; the state stays
	@$(BIN)/python -m infra.local down

backup: $(STAMP) ## Copy the local state to .local/backups, also while it runs
	@$(BIN)/python -m infra.local backup

restore: $(STAMP) ## Put the newest backup, or FROM=<directory>, in place of the local state
	@$(BIN)/python -m infra.local restore

doctor: $(STAMP) ## Check ports, disk, state, clock, backup and Telegram
	@$(BIN)/python -m infra.local doctor

demo: $(STAMP) ## One signal of each variant, with each answer and order (needs `make up` or `make run`)
	@$(BIN)/python -m infra.local.demo

test: check audit unit e2e ## Everything that must be green

check: $(STAMP) ## Style, types and the layer rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(STAMP) ## Known weaknesses in the code and in what it depends on (Terraform's are checkov's, under unit)
	$(BIN)/python -m infra.audit

fast: $(STAMP) ## Unit tests that need no emulated cloud, no server and no other process, in half a minute
	$(BIN)/pytest tests/unit --fast --numprocesses 2

unit: $(STAMP) $(CHECKOV) ## Tests that need nothing running; T=tests/unit/signals for some of them
	TRADEHOOK_CHECKOV=$${TRADEHOOK_CHECKOV:-$(CURDIR)/$(VENV)-checkov/bin/checkov} $(BIN)/pytest $(or $(T),$(UNIT))

e2e: $(STAMP) ## Tests against a local cloud of their own; VENUES=all for every exchange and market
	$(BIN)/pytest tests/e2e tests/browser

build: $(STAMP) ## The release artifact for Lambda and the route document, into build/lambda
	$(BIN)/python -m infra.build --target lambda

bench: $(STAMP) ## Benchmarks, each figure against a floor or a peer, with what it must keep to
	$(BIN)/python -m bench

soak: $(STAMP) ## Ten minutes of traffic with faults in everything, then the books; SEED=2 for other faults, SOAK_SECONDS for less
	$(BIN)/python -m bench soak --seed $(or $(SEED),1)

format: $(STAMP) ## Formats the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## Writes the locks: every package that is installed, with the hashes of its files
	for name in requirements requirements-dev requirements-checkov; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-annotate $$name.txt -o $$name.lock; done

clean: ## Forgets everything that was made here, local state included
	@[ ! -d $(VENV) ] || $(BIN)/python -m infra.local down
	rm -rf $(VENV) $(VENV)-checkov .local build .mypy_cache .ruff_cache .pytest_cache

# uv installs in seconds what takes pip a minute; where it cannot be had, pip does it.
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
