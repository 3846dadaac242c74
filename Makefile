# Set-up and the two commands. `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test check lab book workshop timings refresh clean

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(STAMP) ## create .venv and install; nothing to do when it is up to date

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$($(PYTHON) --version 2>&1) is too old: Python 3.11 or newer is needed."; \
		echo "Name one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV), 2 GB or more. It takes a minute or many; pip is silent meanwhile ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

run: setup ## execute the notebooks in order on the shipped samples, and make the book of them
	@$(BIN)/python -m tools.notebooks run; status=$$?; \
		$(BIN)/python -m tools.book build/notebooks && echo "To work with the notebooks: make lab" && exit $$status

test: setup ## run all tests; every notebook is one
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

check: setup ## style, imports, types and the fast tests, in under a minute
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache
	@$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not slow" tests

lab: setup ## open JupyterLab on a learner's copy of the lessons, playground/, that is yours to edit
	@$(BIN)/python -m tools.lab

book: setup ## make the book of the notebooks as they are stored: build/book/index.html
	@$(BIN)/python -m tools.book

workshop: setup ## pack what a room without network needs, build/workshop.zip, and prove it
	@$(BIN)/python -m tools.workshop

timings: setup ## measure the cells again, and write the timetables of the instructor's guide
	@$(BIN)/python -m tools.timetable measure
	@$(BIN)/python -m tools.timetable write

refresh: setup ## execute the notebooks in place, for a commit
	@$(BIN)/python -m tools.notebooks refresh

clean: ## remove build/ and caches, which come again; not .venv, runs/, playground/ or files of yours
	@rm -rf build .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	@find benchmarks docs r3d_helpers tests tools -name __pycache__ -prune -exec rm -rf {} +
