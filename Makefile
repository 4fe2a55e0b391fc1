# make demo      embed the example recordings and draw a picture
# make test      the quick tests;  make test-all runs the slow ones too
# make check     ruff and mypy
# make bench     ours against the peers
# make docs      the pages, in docs/_build/html;  make check-docs reads them all and writes none
# make clean     remove what the above made, the environment included
#
# The environment is made on demand in .venv.  PYTHON=... chooses the interpreter, JOBS=... the test processes.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# One thread a test process: the processes fill the cores, and sums do not depend on the thread count.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

SPHINX := $(BIN)/python -m sphinx -j $(JOBS) -W --keep-going -q

.PHONY: demo test test-all check bench docs check-docs clean
.DELETE_ON_ERROR:

$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
		for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
			if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "sonant needs Python 3.11 or newer; '$(PYTHON)' is not, and none was found on the PATH." >&2; \
			echo "Name one with: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; \
		fi; \
		echo "making $(VENV) with $$found"; "$$found" -m venv $(VENV); \
	fi
	@echo "installing sonant, its tests and tools (PyTorch is large: minutes the first time)"
	@$(BIN)/python -m pip install -qq -e '.[dev]' -c constraints.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	$(PYTEST)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks --out runs/bench

docs: $(STAMP)
	$(SPHINX) -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

check-docs: $(STAMP)
	$(SPHINX) -b dummy docs docs/_build/check

clean:
	rm -rf $(VENV) build dist docs/_build demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
