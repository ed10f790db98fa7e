# Every target but `clean` and `help` first builds .venv when it is missing or out of date.
# ARGS is handed on: make run ARGS="--port 9000", make test ARGS="tests/events -k late".

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench lock clean

BIN := .venv/bin
INSTALLED := .venv/.installed

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## */  make \1\t/' | expand -t 16

$(INSTALLED): pyproject.toml requirements.lock tools/setup.sh
	@tools/setup.sh
	@touch $@

setup: $(INSTALLED) ## build .venv from requirements.lock

run: $(INSTALLED) ## start everything on http://127.0.0.1:8080
	@$(BIN)/headset up --twin $(ARGS)

test: $(INSTALLED) ## run all tests and examples, quick ones first; ARGS="-n 0" in one process
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(INSTALLED) ## format, lint, types, layers, links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_text.py

format: $(INSTALLED) ## rewrite the sources as `make check` wants them
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## run every benchmark and draw the summary; QUICK=1 for the short form
	@$(BIN)/python benchmarks $(if $(QUICK),--quick) $(ARGS)

lock: $(INSTALLED) ## write requirements.lock anew; ARGS=--upgrade takes newer versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --group dev --group bench $(ARGS) \
	  pyproject.toml --output-file requirements.lock

clean: ## remove .venv and what tools left behind; keeps .headset, your data
	rm -rf .venv build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
