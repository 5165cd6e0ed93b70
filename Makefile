# Daily commands. Needs Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test test-minimum lint types format docs bench clean

help:
	@echo "make demo    identify real patterns that come with the dependencies"
	@echo "make test    run the tests"
	@echo "make test-minimum  the same with the lowest versions of every dependency"
	@echo "make lint    check format and style"
	@echo "make types   check types, on the installed wheel"
	@echo "make format  format the code"
	@echo "make docs    build the pages and the reference of Python into build/site"
	@echo "make bench   measure all of docs/benchmarks.md (hours); make bench-rings: one of it"
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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The same with the lowest versions of pyproject.toml, in an environment of its own. Old packages
# warn of newer ones: there, warnings are no errors.
test-minimum:
	test -x .venv-minimum/bin/python || $(PYTHON) -m venv .venv-minimum
	.venv-minimum/bin/python -m pip install --quiet -c constraints-minimum.txt -e ".[dev]"
	OMP_NUM_THREADS=1 .venv-minimum/bin/python -m pytest -W default \
		--numprocesses auto --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	.ci/types

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The rooms are laid out as the package that they become, which is where the reference is read.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	rm -rf build/source
	$(BIN)/python -W ignore -c 'from setuptools import setup; setup()' -q build --build-base build/work \
		--build-lib build/source
	$(BIN)/mkdocs build --strict --quiet
	rm -rf build/source build/work

# What docs/benchmarks.md reports. Nothing that is shipped is written over.
REAL := $(or $(XTALFUSE_REAL),../shared/real)
BENCHMARKS := faults kills datasets identify elements fusion rings readers structure_factors library_build calibrate \
	external_standard mechanics training
bench: $(addprefix bench-,$(BENCHMARKS))

bench-library_build: ARGUMENTS := $(REAL)/cif
bench-calibrate: ARGUMENTS := --cache build/calibration.jsonl --out build/confidence.json

bench-%: $(INSTALLED)
	@mkdir -p build
	$(BIN)/python -m benchmarks.$* $(ARGUMENTS)

clean:
	rm -rf .venv .venv-minimum build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache xtalfuse-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
