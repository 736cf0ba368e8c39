# Every line a person would type, by name. `make` alone lists them.
# Nothing here is needed to run FriendlyFL from an installed package: the commands below only call what pyproject.toml installs.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-sqlite test-browser test-slow test-postgres check format docs words pictures bench pins clean

help: ## List these commands
	@echo "FriendlyFL. Start with 'make demo'."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install FriendlyFL with everything pinned by hash

# The stamp lies inside .venv, so removing the folder is enough to start again.
$(STAMP): pyproject.toml requirements/dev.txt
	@command -v $(PYTHON) > /dev/null || { \
		echo "FriendlyFL needs Python 3.11 or newer, and '$(PYTHON)' was not found. Install it, or say: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "FriendlyFL needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Say: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing FriendlyFL into .venv. The first time takes a minute or two."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install ## Three hospitals and a Routing Server on this machine study real data together
	@$(BIN)/friendlyfl demo

# Django knows one project a process, so the Routing Server's tests run apart from the others.
test: test-postgres test-sqlite ## Run all tests, the Routing Server's on PostgreSQL and on SQLite

test-sqlite: install ## Run all tests, without PostgreSQL
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/router
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-browser: install ## Look at every page of the portal in a real Chromium, and try all that people do there
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "browser and not slow"

test-slow: install ## Run what takes too long for every day: more kills, a rehearsal, long tables
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m slow

test-postgres: install ## Run the Routing Server's tests on a real PostgreSQL (no system package needed)
	FRIENDLYFL_TEST_DATABASE=postgres $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/router

check: install ## Style, types, import rules, migrations, deployment settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/autopep8 --exclude='*/migrations/*' --diff --exit-code --recursive ./friendlyfl/
	$(BIN)/lint-imports
	@# What reads the settings of the two Django projects gets homes of its own, so that nobody's real one is touched.
	homes=$$(mktemp -d) && trap 'rm -rf "$$homes"' EXIT && \
	export FRIENDLYFL_ROUTER_HOME="$$homes" FRIENDLYFL_HOME="$$homes" && \
	export SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') && \
	$(ROUTER) $(BIN)/mypy --cache-dir .mypy_cache/router friendlyfl/router friendlyfl/cli/router.py && \
	$(CONTROLLER) $(BIN)/mypy --cache-dir .mypy_cache/controller --exclude cli/router.py $(TYPED) && \
	$(ROUTER) $(BIN)/django-admin makemigrations --check --dry-run && \
	$(CONTROLLER) $(BIN)/django-admin makemigrations --check --dry-run && \
	$(CONTROLLER) $(BIN)/django-admin check --fail-level WARNING && \
	TRUSTED_PROXY=127.0.0.1 $(BIN)/python manage.py check --deploy --fail-level WARNING

ROUTER := DJANGO_SETTINGS_MODULE=friendlyfl.router.settings
CONTROLLER := DJANGO_SETTINGS_MODULE=friendlyfl.controller.settings
TYPED := $(addprefix friendlyfl/, core wire tasks client controller testing datasets cli)

format: install ## Put the sources into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/autopep8 --exclude='*/migrations/*' --in-place --recursive ./friendlyfl/

docs: install ## Write the pages of docs/tasks anew, from the tasks themselves
	$(BIN)/python -m friendlyfl.cli.task_pages docs/tasks

words: install ## Write the list of all texts of the portal, for those who translate it (words.pot)
	$(BIN)/python -m friendlyfl.cli.word_list words.pot

pictures: install ## Make the pictures of the clinician guide anew from the running product
	FRIENDLYFL_PICTURES=docs/images/portal $(BIN)/python -m pytest -m "browser and not slow" tests/e2e/test_portal_tour.py

bench: install ## Run every benchmark; each says its goal and its figure
	@for name in relay rounds statistics pages; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

PINS := --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --quiet \
	--custom-compile-command 'make pins'

# All extras but torch: its tests are skipped, with the reason, until 'pip install torch' is said in .venv.
EXTRAS := postgres demo data sklearn test dev

pins: ## Renew requirements/*.txt (needs uv); read the change before committing it
	uv pip compile $(PINS) $(addprefix --extra ,$(EXTRAS)) pyproject.toml -o requirements/dev.txt
	uv pip compile $(PINS) -c requirements/dev.txt pyproject.toml -o requirements/run.txt

clean: ## Remove .venv, caches and built packages
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
