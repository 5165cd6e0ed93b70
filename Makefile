# Daily commands. Needs Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test lint types format bench clean

help:
	@echo "make demo    identify real patterns that come with the dependencies"
	@echo "make test    run the tests"
	@echo "make lint    check format and style"
	@echo "make types   check types, on the installed wheel"
	@echo "make format  format the code"
	@echo "make bench   measure (docs/benchmarks.md)"
	@echo "make clean   remove everything that can be made again"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(INSTALLED)
	$(BIN)/xtalfuse demo

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	.ci/types

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.identify
	$(BIN)/python -m benchmarks.mechanics

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache xtalfuse-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
