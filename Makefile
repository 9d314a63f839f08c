# `make demo` and `make test` are all a new machine needs: each sets itself up first.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test peers robust check bench resilience fuzz soak soak-real soak-virtual clean
.DELETE_ON_ERROR:

setup: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Steadycast needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: setup
	$(BIN)/python -m tests.support.demo

test: setup
	$(BIN)/python -m pytest -m 'not slow and not bench' --ignore=tests/robustness --ignore=tests/interop/peers

# Whole programs with others at the far end, and between two machines.
peers: setup
	$(BIN)/python -m pytest -m 'not slow and not bench' tests/interop/peers

robust: setup
	$(BIN)/python -m pytest -m 'not slow and not bench' tests/robustness

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m pytest -m bench -s tests/bench

# Ours and rivals through the same bad networks: hours with everything, ARGS="--cases loss5 --peers steadycast" a minute.
resilience: setup
	$(BIN)/python -m tests.bench.resilience $(ARGS)

# What takes bytes from strangers, guided by coverage; ARGS="url --seconds 600" for one of them.
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(ARGS)

# One has ten minutes of real programs to wait for; the other computes hours of virtual time meanwhile.
soak: setup
	@$(MAKE) --no-print-directory -j2 soak-real soak-virtual

soak-real: setup
	$(BIN)/python -m pytest -m slow -s --timeout=1500 tests/bench/test_ten_minutes.py

soak-virtual: setup
	$(BIN)/python -m pytest -m slow -s --timeout=1500 --ignore=tests/bench/test_ten_minutes.py

clean:
	rm -rf .venv out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
