# make demo    train on a sample table, encode rows it has not seen, show the evaluation
# make test    everything that CI checks

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test clean

# Shows a command as a person would type it, and runs it.
step = @printf '\n$$ %s\n\n' 'aecli $(1)'; $(BIN)/aecli $(1)

demo: .venv
	$(call step,inspect sample_data/adult_train.csv --label income)
	$(call step,train sample_data/adult_train.csv --label income --latent 8 --tag demo)
	$(call step,encode sample_data/adult_test.csv --tag demo -o runs/latents.parquet)
	$(call step,evaluate sample_data/adult_test.csv --tag demo)
	@printf '\nThe model is in runs/demo, the latents in runs/latents.parquet.\n'
	@printf 'Next: source $(BIN)/activate, then aecli --help, or the README.\n'

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
	@echo 'Installing into .venv; with PyTorch to download this takes some minutes the first time.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip check
	touch $@

clean:
	rm -rf .venv build dist runs/demo runs/latents.parquet *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
