# Every target sets up what it needs: Python 3.11, make and a package registry are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes as tests/conftest.py says, each with servers of its own; a file's tests stay together.
TESTING := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: install test faults faults-quick check up down demo demo-down app audit bench bench-full bench-read bench-read-full

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -I devstack/installing.py $(VENV)
	@touch $@

test: install
	@devstack/debian.sh
	$(BIN)/python -m pytest $(TESTING) --ignore tests/faults

# What may go wrong, in a few trials each; `make faults` has many.
faults-quick: install
	@devstack/debian.sh
	$(BIN)/python -m pytest $(TESTING) tests/faults

# The same with many trials, for two hours and more: prints the table, and writes
# benchmarks/results/faults.json. TESTS=a,b for some of them; SEED=… for other trials.
faults: install
	@devstack/debian.sh
	@$(BIN)/python -m tests.faults $(if $(TESTS),--tests $(TESTS)) $(if $(SEED),--seed $(SEED))

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

up: install
	$(BIN)/python -m devstack up

down: install
	$(BIN)/python -m devstack down

# The whole of it in a few minutes. USERS=200000 for more; KEEP=1 leaves everything up.
demo: install
	@$(BIN)/python -m devstack.demo --users $(or $(USERS),50000) $(if $(filter-out 0,$(KEEP)),--keep)

demo-down: install
	@$(BIN)/python -m devstack.demo down

# An example app on what KEEP=1 has left; Ctrl-C ends it.
app: install
	@$(BIN)/python -m examples.bank_app $(if $(PORT),--port $(PORT))

# How fast loading is, against the limit, a script by hand, Feast and dlt: quiet machine!
# With 100,000 and 200,000 users (USERS=…), or also with a million.
bench: install
	$(BIN)/python -m benchmarks.speed $(if $(USERS),--users $(USERS))

bench-full: install
	$(BIN)/python -m benchmarks.speed --users 100000,200000,1000000

# How long reading takes, with 200,000 profiles (USERS=…) or also with a million: quiet machine!
bench-read: install
	$(BIN)/python -m benchmarks.read --users $(or $(USERS),200000)

bench-read-full: bench-read
	$(BIN)/python -m benchmarks.read --users 1000000 --loads 1 --out benchmarks/results/read-1000000.json

# The pictures in docs/images, from a browser on the UI of a demo.
screenshots: install
	$(BIN)/python -m devstack.demo --users $(or $(USERS),50000) --keep
	@PYTHONPATH=. $(BIN)/python tests/browser/screenshots.py; taken=$$?; \
	$(BIN)/python -m devstack.demo down; exit $$taken

# Known weaknesses of what is pinned: asks OSV on the internet, and fails where that can't be asked.
audit:
	$(PYTHON) -m venv .devstack/audit
	.devstack/audit/bin/python -m pip install --quiet --no-cache-dir pip-audit==2.10.1
	.devstack/audit/bin/pip-audit --vulnerability-service osv --strict --no-deps --disable-pip -r constraints.txt
