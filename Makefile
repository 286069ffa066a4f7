# The two commands: `make course` and `make test`. `make` alone prints what there is.

PYTHON  ?= python3
DATA    ?= phantom
PROFILE ?= lesson
SEED    ?= 0
OUT     ?= build/course
ONLY    ?=
STUDENT ?= student

VENV         := .venv
RUN          := $(VENV)/bin/python -m
REQUIREMENTS := $(if $(LOCK),requirements.lock,requirements.txt)
INSTALLED    := $(VENV)/installed-$(REQUIREMENTS)

.PHONY: help course test test-browser lab slides student notebooks bench clean

help:
	@echo 'make course                     run every notebook on the built-in phantom, into build/course/'
	@echo '     course DATA=DIR            on a folder of real slices'
	@echo '     course PROFILE=thesis      at the scale of the thesis (smoke, lesson or thesis)'
	@echo 'make test                       style, types, unit tests, and every notebook at the smallest scale'
	@echo 'make lab                        open notebook 00 in JupyterLab, with the others beside it'
	@echo 'make slides                     a deck of slides for each notebook, into build/slides/'
	@echo 'make student [STUDENT=DIR]      copy the notebooks into DIR (student/) with their solutions emptied'
	@echo '     student NBGRADER=1         a course folder of nbgrader instead'
	@echo 'make test-browser               widgets and pages in a real browser: needs Chromium or Chrome'
	@echo 'make notebooks [ONLY=07_...]    execute the notebooks in place, for committing'
	@echo 'make bench                      ratios of speed, measured here'
	@echo 'make clean                      remove build/ and the environment'
	@echo 'LOCK=1 with any of them         install the exact versions of requirements.lock'
	@echo 'PYTHON=python3.12               choose the Python (3.10 or newer) that makes the environment'

course: $(INSTALLED)
	@$(RUN) ctgan_utils course --data "$(DATA)" --profile $(PROFILE) --seed $(SEED) --out "$(OUT)"

test: $(INSTALLED)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy ctgan_utils
	OMP_NUM_THREADS=1 CTGAN_HEADLESS=1 $(RUN) pytest -n auto --dist worksteal

test-browser: $(INSTALLED)
	$(RUN) pip install --quiet --disable-pip-version-check -e .[browser]
	$(RUN) pytest tests/browser

lab: $(INSTALLED)
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

student: $(INSTALLED)
	@$(RUN) ctgan_utils student --out "$(STUDENT)" $(if $(NBGRADER),--nbgrader)

slides: $(INSTALLED)
	@$(RUN) ctgan_utils slides

notebooks: $(INSTALLED)
	@$(RUN) ctgan_utils notebooks $(ONLY)

bench: $(INSTALLED)
	@$(VENV)/bin/python tests/benchmarks/bench.py

clean:
	rm -rf build $(VENV)

$(INSTALLED): requirements.txt requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'error: $(PYTHON) is older than 3.10; pass PYTHON=python3.12, say'; exit 2; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@rm -f $(VENV)/installed-*
	@touch $@
