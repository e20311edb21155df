# `make help` lists the targets. Only Python >= 3.11 (with venv) and make are needed; all else is installed into .venv.
PORT ?= 8000
TIMERS_VAR ?= var
VENV ?= .venv
JOBS ?= 2
export PORT TIMERS_VAR

PYTHON ?= python3
IN_VENV := $(VENV)/bin/python
SET_UP := $(PYTHON) -I timerproject/virtualenv.py
PYTEST := $(IN_VENV) -m pytest

.DEFAULT_GOAL := help
.PHONY: help up test test-cluster test-browser compat torture torture-live formal bench check format setup setup-dev python clean
MAKEFLAGS += --no-print-directory

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PORT=8000, TIMERS_VAR=var, PYTHON=python3 and VENV=.venv can be given: make up PORT=8080"

up: setup ## start everything: database, web on PORT, one node with two workers, demo timers; Ctrl-C stops it
	@exec $(IN_VENV) manage.py up $(ARGS)

test: setup-dev ## run the test suite on a throw-away embedded PostgreSQL (TESTS_LONG=1: at length)
	@exec $(PYTEST) -n $(JOBS) --dist worksteal -m "not cluster and not browser and not torture" $(ARGS)

test-cluster: setup-dev ## run the tests of real nodes: several processes on one database
	@exec $(PYTEST) -n $(JOBS) --dist worksteal -m cluster $(ARGS)

test-browser: setup-dev ## run the browser tests (Debian's chromium, or CHROMIUM=/path)
	@exec $(PYTEST) -m browser $(ARGS)

# First what can run side by side, then what measures lateness, shares or pace. Exit code 5: ARGS selects no test of a pass.
torture: setup-dev ## run the torture tests: faults under load (TESTS_LONG=1: at length)
	@$(PYTEST) -n $(JOBS) --dist worksteal -m "torture and not alone" $(ARGS) $(if $(ARGS),|| [ $$? -eq 5 ])
	@$(PYTEST) -m "torture and alone" $(ARGS) $(if $(ARGS),|| [ $$? -eq 5 ])

compat: setup-dev ## run the installed app under every Python of this machine and every Django (ARGS="--django 6.1")
	@exec $(IN_VENV) -m tests.packaging.compat $(ARGS)

torture-live: setup-dev ## run nodes under faults, judge the records, print the report (ARGS="--profile standard": longer)
	@exec $(IN_VENV) -m tests.torture run $(or $(ARGS),--profile smoke)

formal: python ## check the models of the protocol (needs spin and gcc)
	@exec $(PYTHON) formal/check.py

bench: setup ## measure this installation beside the raw limit: make bench ARGS=drain (docs/measuring.md)
	@exec $(IN_VENV) manage.py timerbench $(or $(ARGS),drain)

check: setup-dev ## check format, lint, types, layers, wording, migrations and the deploy settings
	$(IN_VENV) -m ruff format --check .
	$(IN_VENV) -m ruff check .
	$(IN_VENV) -m mypy --strict timers timerproject formal clients/python/src clients/python/examples
	$(VENV)/bin/lint-imports
	@! grep -rnEi -f tests/support/wording.txt --include=*.py --include=*.html --include=*.md \
	    timers timerproject templates clients docs README.md CONTRIBUTING.md CHANGELOG.md
	$(IN_VENV) -W "ignore:Got an error checking:RuntimeWarning" manage.py makemigrations --check --dry-run
	env DATABASE_URL=postgresql://timers@127.0.0.1:1/timers ALLOWED_HOSTS=timers.example.org \
	    SECRET_KEY=only-for-this-check-f4qAe8ZxW1bN0yKcTj6UoRm5hGsLdP3v $(IN_VENV) manage.py check --deploy --fail-level WARNING

format: setup-dev ## put the code into its form
	$(IN_VENV) -m ruff format .
	$(IN_VENV) -m ruff check --fix .

setup: python ## install the run-time packages into .venv
	@$(SET_UP) $(VENV) requirements.txt

setup-dev: python ## install the packages for tests and checks too
	@$(SET_UP) $(VENV) requirements-dev.txt

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is `$(PYTHON) --version 2>&1 || true`." >&2; \
	    echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }

clean: ## remove .venv and what tools left behind; the data under var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
