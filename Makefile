# make demo    train on a sample table, encode rows it has not seen, and show the evaluation
# make test    everything that CI checks

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO := build/demo

.PHONY: demo test clean

demo: .venv
	$(BIN)/aecli train sample_data/adult_train.csv --label income --model $(DEMO)/model
	$(BIN)/aecli encode sample_data/adult_test.csv --model $(DEMO)/model -o $(DEMO)/latents.parquet
	$(BIN)/aecli evaluate sample_data/adult_test.csv --model $(DEMO)/model
	@echo 'Made $(DEMO)/model and $(DEMO)/latents.parquet. Next: $(BIN)/aecli --help'

test: .venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: .venv
.venv: .venv/made

# The file is written last, so an installation cut short is done again.
.venv/made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip check
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
