# One word for every everyday job; `make help` lists them. Each makes the environment it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A set PYTHONDONTWRITEBYTECODE doubles the time that every command takes to start.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
CONFIG ?= configs/ham10000_cpu.yaml
PIPELINE := pipelines.training.training_pipeline
PACKAGES := skin_lesion steps materializers pipelines app

# Stamps: a finished stage of the environment, remade only when what it was made from changes.
UV := .venv/bin/uv
RUNTIME := .venv/.runtime-ready
DEV := .venv/.dev-ready
STACK := .zenml/.stack-ready
ENTER := source ./activate.sh

# Installs one lock and the project itself, then compiles bytecode, once.
define install
	$(UV) pip install --python .venv/bin/python --quiet --compile-bytecode --require-hashes -r $(1)
	$(UV) pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation -e .
	.venv/bin/python -m compileall -q $(wildcard $(PACKAGES))
	touch $@
endef

.PHONY: help setup demo results train real-data mlflow zenml dashboard test check bench results-table lock clean

help: ## List the targets
	@echo "Usage: make TARGET [VARIABLE=value]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

setup: $(STACK) ## Make the environment (.venv) and the local ZenML stack (.zenml)

demo: setup ## Train, evaluate and register a model on the embedded synthetic images
	@$(ENTER) && zenml pipeline run $(PIPELINE) -c configs/demo.yaml
	@$(ENTER) && skin-lesion results

results: setup ## Print the last run's figures and what to open next
	@$(ENTER) && skin-lesion results

train: real-data setup ## Train on real images: HAM10000_PATH=folder-or-zip [CONFIG=configs/ham10000_cpu.yaml]
	@$(ENTER) && zenml pipeline run $(PIPELINE) -c $(CONFIG)
	@$(ENTER) && skin-lesion results

# Before the environment is made: a mistake is worth no wait.
real-data:
	@test -f "$(CONFIG)" || { echo "CONFIG=$(CONFIG) does not exist; there are: $$(echo configs/*.yaml)" >&2; exit 2; }
	@[[ -e "$${HAM10000_PATH:-}" ]] || { \
	  echo "HAM10000_PATH is '$${HAM10000_PATH:-}'; expected a folder or zip with HAM10000 in the Kaggle layout." >&2; \
	  echo "Name it:  make train HAM10000_PATH=/data/ham10000.zip   (see 'Real data' in README.md)" >&2; exit 2; }

mlflow: setup ## Open the MLflow UI on the local runs and registry [PORT=5000]
	@$(ENTER) && mlflow ui --backend-store-uri "$$MLFLOW_TRACKING_URI" --host 127.0.0.1 --port $(or $(PORT),5000)

zenml: setup ## Open the ZenML dashboard: runs, artifacts and their pictures; `zenml logout --local` stops it
	@$(ENTER) && zenml login --local

dashboard: $(STACK) ## Open the clinicians' dashboard on the model in production [PORT=8501]
	@$(ENTER) && exec skin-lesion dashboard --port $(or $(PORT),8501)

# Tests of a file share fixtures that are costly to make, so that one process runs them all. (xdist's
# groups have no effect under pytest 9.2, which keeps the ids of tests elsewhere.) In the order of the
# folders, the long ones come first.
test: $(DEV) ## Run the tests; MARKERS= runs the slow and real-data ones too
	@$(ENTER) && python -m pytest -n $(or $(PROCESSES),auto) --dist loadfile --no-loadscope-reorder $(if $(filter undefined,$(origin MARKERS)),,-m "$(MARKERS)") $(ARGS)

check: $(DEV) ## Lint, formatting, types and locks
	@$(ENTER) && ruff check . && ruff format --check . && mypy && python -m pytest -q tests/test_locks.py

bench: $(DEV) ## Run the benchmarks (real images: HAM10000_PATH=...); prints the ratios and writes the READMEs' table
	@$(ENTER) && for script in ingest train_loop kills cached_run intervals latency batch batch_ray serving dashboard; do echo "== $$script"; python benchmarks/$$script.py || failed=1; done; \
	  python benchmarks/results_table.py; exit $${failed:-0}

results-table: $(DEV) ## Write the figures of benchmarks/results/ into README.md and README.es.md
	@$(ENTER) && python benchmarks/results_table.py

lock: $(UV) ## Resolve the dependencies of pyproject.toml anew into the locks [UPGRADE=--upgrade]
	$(eval COMPILE := $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE))
	echo "uv==$$($(UV) --version | cut -d' ' -f2)" | $(COMPILE) --no-annotate - -o requirements-bootstrap.lock
	$(COMPILE) pyproject.toml --extra cpu --extra app -o requirements.lock
	$(COMPILE) pyproject.toml --extra cpu --extra app --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra gpu --extra app -o requirements-gpu.lock

clean: ## Remove the environment, the local stack with all its runs, and every cache
	rm -rf .venv .zenml .work mlruns build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find $(wildcard $(PACKAGES)) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): requirements-bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 is needed, and '$(PYTHON)' is not it. Name one:  make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu:  apt install python3.11-venv" >&2; exit 2; }
	@echo "Making the environment in .venv (about 2 GB; the first time takes minutes)"
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	touch $@

$(RUNTIME): requirements.lock pyproject.toml | $(UV)
	$(call install,requirements.lock)

# The development lock holds everything that the runtime lock does, at the same versions.
$(DEV): requirements-dev.lock pyproject.toml | $(UV)
	$(call install,requirements-dev.lock)
	touch $(RUNTIME)

$(STACK): configs/stacks/local.yaml | $(RUNTIME)
	@$(ENTER) && skin-lesion setup
	touch $@
