# Every target sets up what it needs in .venv; all you need is Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e
WORKERS ?= auto

.PHONY: demo test check bench fuzz api-fuzz torture mutants versions package docs clean
MINUTES ?= 10

demo: .venv/train.stamp  ## draw skin of known tone, label it, plant a shortcut, audit, undo it: demo/index.html
	$(BIN)/equiderm demo demo

test: .venv/dev.stamp .venv/train.stamp  ## the whole test suite but the slow mark (make test ARGS=--runslow)
	$(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 $(ARGS)

check: .venv/dev.stamp .venv/train.stamp  ## linters and types, as CI runs them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/pyright --warnings

bench: .venv/dev.stamp .venv/train.stamp  ## every measurement of bench/, each a ratio within one run
	@for script in $(filter-out $(patsubst %,bench/%.py,$(ATTACKS)),$(wildcard bench/*.py)); do echo "== $$script"; $(BIN)/python $$script $(ARGS) || exit 1; done

# Not measurements: they take their time, and what they find is a fault.
ATTACKS := fuzz api_fuzz torture mutants
fuzz: .venv/dev.stamp .venv/train.stamp  ## damaged and hostile files of every kind: make fuzz MINUTES=10
	$(BIN)/python bench/fuzz.py --minutes $(MINUTES) $(ARGS)

api-fuzz: .venv/dev.stamp  ## the JSON of equiderm serve under schemathesis: make api-fuzz MINUTES=10
	$(PYTHON) -m venv .venv/schemathesis && .venv/schemathesis/bin/python -m pip install --quiet 'schemathesis>=4.32'
	$(BIN)/python bench/api_fuzz.py --minutes $(MINUTES) --schemathesis .venv/schemathesis/bin/schemathesis $(ARGS)

torture: .venv/dev.stamp .venv/train.stamp  ## each long command killed, its disk full, read-only, gone; as root
	$(BIN)/python bench/torture.py $(ARGS)

mutants: .venv/dev.stamp .venv/train.stamp  ## faults planted one at a time: make mutants ARGS='--only debias --sample 40'
	$(BIN)/python bench/mutants.py $(ARGS)

versions:  ## the suite at the lowest versions that are declared, and at the newest without constraints
	$(PYTHON) -m venv .venv/uv && .venv/uv/bin/python -m pip install --quiet uv
	for resolution in lowest-direct highest; do \
	  .venv/uv/bin/uv venv --quiet --clear --python $(PYTHON) .venv/$$resolution && \
	  .venv/uv/bin/uv pip install --quiet --python .venv/$$resolution/bin/python --resolution $$resolution \
	    -e '.[dev,train,heic,jxl,dicom]' && \
	  .venv/$$resolution/bin/python -m pytest -q -n $(WORKERS) --maxprocesses 8 \
	    -W ignore::DeprecationWarning $(ARGS) || exit 1; done  # warnings of old libraries about new ones

package:  ## the wheel and the sdist, each installed into an empty environment and tried there
	rm -rf .venv/dist && $(PYTHON) -m venv .venv/build && .venv/build/bin/python -m pip install --quiet build
	.venv/build/bin/python -m build --outdir .venv/dist . > .venv/build/log || { cat .venv/build/log; exit 1; }
	for file in .venv/dist/*; do \
	  $(PYTHON) -m venv --clear .venv/empty && \
	  .venv/empty/bin/python -m pip install --quiet -c constraints.txt $$file && \
	  .venv/empty/bin/python -I tests/smoke.py || exit 1; done

docs: .venv/docs.stamp .venv/train.stamp  ## the documentation site, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "equiderm needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/core.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) .
	@touch $@

.venv/dev.stamp: .venv/core.stamp
	$(INSTALL) '.[dev]'
	@touch $@

.venv/train.stamp: .venv/core.stamp
	$(INSTALL) '.[pretrained]'
	@touch $@

.venv/docs.stamp: .venv/core.stamp
	$(INSTALL) '.[docs]'
	@touch $@

clean:
	rm -rf .venv demo build dist .pytest_cache .ruff_cache .hypothesis
