# eqviz: `make demo` does everything; `make help` lists the parts.
PYTHON ?= python3.11
VENV   ?= .venv
PORT   ?= 5006
STUDY  ?= studies/demo.yaml
BIN    := $(VENV)/bin
PIP    ?= $(BIN)/python -m pip
# On a machine without a GPU, TORCH_INDEX=<address of PyTorch's CPU wheels> saves about 5 GB of CUDA libraries.
TORCH_INDEX ?=
STAMP  := $(VENV)/.installed

.PHONY: help demo install packages report dashboard lab test lint unit notebooks benchmarks lock clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: report  ## set up, train and measure the demo study, write the report, serve the dashboard
	@echo "report:    file://$(CURDIR)/reports/index.html"
	@$(MAKE) --no-print-directory dashboard

install: $(STAMP)  ## create the virtual environment and install the locked packages

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "eqviz needs Python 3.11; say which one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(MAKE) --no-print-directory packages
	@touch $@

# --no-deps, because the lock file is complete, and escnn's requirement py3nj needs a Fortran compiler.
# PyTorch goes first and with its own dependencies: on Linux they bring CUDA.
packages:
	$(PIP) install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX),) --constraint requirements.lock torch
	$(PIP) install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(PIP) install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

report: install  ## run what is missing of the study and write reports/index.html
	$(BIN)/eqviz study $(STUDY)

dashboard: install  ## serve the dashboard at http://localhost:5006/dashboards
	@echo "dashboard: http://localhost:$(PORT)/dashboards   (Ctrl-C stops it)"
	$(BIN)/panel serve dashboards/ --port $(PORT)

lab: install  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir notebooks

test: lint unit notebooks  ## everything that is checked before a change lands

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: install
	$(BIN)/pytest -n 2 --ignore tests/ui
# By themselves: a server, a browser and the test keep two cores busy, and a page that waits for others fails.
	$(BIN)/pytest tests/ui

notebooks: install
	EQVIZ_RUNS=$(CURDIR)/build/nbval-runs $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-cell-timeout=300 -p no:cacheprovider -W default notebooks

benchmarks: install  ## measure, and write benchmarks/results/*.csv
	$(BIN)/python -m benchmarks

lock: install  ## rewrite requirements.lock from what is installed
	$(BIN)/python -m pip freeze --all --exclude-editable | sed -E -e 's/^(torch==[^+]*)\+.*/\1/' -e 's/^triton==.*/&; sys_platform == "linux"/' | grep -viE '^(pip=|py3nj|nvidia-|cuda-)' > requirements.lock

clean:  ## remove runs, reports and caches; the virtual environment stays
	rm -rf runs reports build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
