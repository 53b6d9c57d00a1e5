# Needs python3 and make. Everything else is installed into .venv by the first target that wants it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export UV_PROJECT_ENVIRONMENT := $(VENV)
export DO_NOT_TRACK := 1
# What Python compiles is kept: the sandbox, the commands and the runs are processes of their own, and each would compile
# thousands of modules anew.
export PYTHONDONTWRITEBYTECODE :=
export UV_COMPILE_BYTECODE := 1
# Files of tests over processes: what a file sets up is set up once. Each process has a database server of its own, and
# waits for it and for others a third of its time.
SPREAD := -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint format bench up down dbt clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: uv.lock pyproject.toml | $(UV)
	@# Networks that inspect TLS are known to the system's certificates only.
	@$(UV) sync --frozen --inexact --quiet 2>/dev/null || $(UV) sync --frozen --inexact --quiet --system-certs
	@# What dbt reads of the project is read once: every later start looks only at what changed.
	@$(BIN)/python -c "from ops_platform.warehouse.dbt import prepare_manifest; prepare_manifest()"
	@touch $@

install: $(VENV)/.installed  ## Install the locked dependencies into .venv

demo: install  ## One whole morning cycle on the sandbox; DATA=orders.csv.gz serves your own orders
	@$(BIN)/ops demo $(if $(DATA),--orders $(DATA))

test: install  ## The tests (about a quarter of an hour on 2 cores)
	$(BIN)/python -m pytest $(SPREAD)

test-all: install  ## The tests and the long proofs
	$(BIN)/python -m pytest $(SPREAD) -m ''

lint: install  ## ruff, mypy, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests

format: install  ## Put code in the house's format
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

bench: install  ## Measure speed and memory, dlt beside us; prints a table
	@$(UV) sync --frozen --inexact --quiet --group bench || $(UV) sync --frozen --inexact --quiet --group bench --system-certs
	$(BIN)/python -m tests.bench

up: install  ## Start database, Dagster web and daemon
	@$(BIN)/ops up

down: install  ## Stop them
	@$(BIN)/ops down

dbt: install  ## Run dbt on the configured warehouse: make dbt ARGS="build --select net_sales"
	@$(BIN)/ops dbt $(ARGS)

clean:  ## Remove what was built (not the data in .ops)
	rm -rf dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache
