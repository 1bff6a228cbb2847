# Everything runs in .venv, which `make install` builds with nothing but python3 (3.11 or newer, with venv and pip).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes
DATA_DIR ?= data

.PHONY: install serve test test-postgres fast check bench pictures crash fuzz clients stress lock clean

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(VENV)/bin/python
	$(PIP) -r requirements-dev.txt
	touch $@ $(VENV)/.installed

# The whole system with a demo organisation, on loopback ports that need no privileges.
serve: install
	@$(BIN)/python manage.py serve --data-dir $(DATA_DIR) --demo

# All tests: the fast ones, then real servers, real clients, a real browser and crashes. What fails is run once more
# by itself: a test that fails only beside the others (a starved machine) is named in the first summary, and not hidden.
test: $(VENV)/.installed-dev
	sh tests/install_clients.sh
	$(BIN)/python -m pytest -m "not slow" $(ON_ALL_CORES) || $(AGAIN) -m "not slow"
	$(BIN)/python -m pytest -m slow || $(AGAIN) -m slow
	$(MAKE) test-postgres

# Each process has a database of its own; what is timed or kills servers (slow) runs by itself.
ON_ALL_CORES := -n auto --dist loadgroup
AGAIN := $(BIN)/python -m pytest --last-failed --last-failed-no-failures=none

# The tests that touch the database once more, on a PostgreSQL server of their own (tests/postgres.py).
ON_POSTGRES := store checks delivery outbound smtp imap pop3 webmail console accounts
test-postgres: $(VENV)/.installed-dev
	$(BIN)/python -m tests.postgres $(BIN)/python -m pytest -m "not slow" $(ON_ALL_CORES) $(ON_POSTGRES:%=tests/%)

# The tests that need seconds.
fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow" $(ON_ALL_CORES)

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	POSTROOM_DATA_DIR=build/check $(BIN)/python -m mypy .
	POSTROOM_DATA_DIR=build/check $(BIN)/python manage.py makemigrations --check --dry-run
	POSTROOM_DATA_DIR=build/check $(BIN)/python manage.py check --fail-level WARNING
	POSTROOM_DATA_DIR=build/check $(BIN)/python manage.py protocols --check
	! grep -nE 'https?://|index-url|--find-links' requirements.txt requirements-dev.txt requirements-fuzz.txt

# Kill the server at random moments and at each fsync, rename and write, and worse; SEED=1 ROUNDS=10 make crash
crash: $(VENV)/.installed-dev
	ROUNDS=$${ROUNDS:-200} $(BIN)/python -m pytest tests/crash -s

$(VENV)/.installed-fuzz: requirements-fuzz.txt $(VENV)/.installed-dev
	$(PIP) -r requirements-fuzz.txt
	touch $@

# Coverage-guided fuzzing of every parser (docs/robustness.md); TARGETS="imap_search mime_scan" DURATION=600 make fuzz
fuzz: $(VENV)/.installed-fuzz
	nice $(BIN)/python -m tests.fuzz.run $(TARGETS) --seconds $${DURATION:-30}

# Random clients at one account and at twenty, with books of what each may be told; SEED=1 MINUTES=1 make stress
stress: $(VENV)/.installed-dev
	$(BIN)/python -m tests.stress.run

# Real mail programs against a running server.
clients: $(VENV)/.installed-dev
	sh tests/install_clients.sh
	$(BIN)/python -m pytest tests/system -m clients

# The pictures of the guides; look at them before committing.
pictures: $(VENV)/.installed-dev
	$(BIN)/python -m tests.pictures

# SMTP to visible in IMAP, with the server's CPU per message (docs/performance.md).
bench: install
	$(BIN)/python tests/bench/run.py

# Lock the versions of pyproject.toml, with hashes and without any address.
lock: | $(VENV)/bin/python
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --extra cluster pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --extra cluster --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	echo 'atheris>=3.0' | $(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate - -o requirements-fuzz.txt

clean:
	rm -rf $(VENV) build
