# Two commands do everything: `make run` and `make test`. Both set up what they need and may be repeated.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000

.PHONY: help run test testcelery celery setup sample check bench chaos lab lock vendor clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: setup sample  ## start the API on 127.0.0.1:$(PORT), with sample data
	@echo "starting on http://127.0.0.1:$(PORT)/api/v1 with documentation at http://127.0.0.1:$(PORT)/docs"
	@exec $(BIN)/python api_server.py --env local --host 127.0.0.1 --port $(PORT)

setup: $(VENV)/run.stamp $(BIN)/tagapi  ## create .venv with the locked dependencies, and the command .venv/bin/tagapi

sample: setup  ## make sample data where there is none
	@$(BIN)/python sample_data.py --env local

celery: setup $(VENV)/celery.stamp  ## install Celery, for a service and workers with TAGAPI_EXECUTOR=celery://…

test: $(VENV)/dev.stamp  ## run every test
	@$(BIN)/python -m pytest

testcelery: $(VENV)/dev.stamp  ## run every front's tests once more, with attempts in workers of Celery (half an hour)
	@TAGAPI_TEST_EXECUTOR=celery $(BIN)/python -m pytest tests/e2e

check: $(VENV)/dev.stamp  ## lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/dev.stamp  ## measure, as ratios within one run
	@$(BIN)/python -m benchmarks

chaos: $(VENV)/dev.stamp  ## kill, freeze and starve it, and see whether it kept its word
	@$(BIN)/python -m tests.chaos $(PARTS)

lab: $(VENV)/dev.stamp  ## a small internet on loopback addresses, with a scope file, to see a scan
	@$(BIN)/python -m tests.internet

lock: $(VENV)/uv.stamp  ## resolve the dependencies anew
	@for set in run celery dev; do \
	  case $$set in run) more=;; celery) more="--extra celery";; dev) more="--group dev";; esac; \
	  $(BIN)/uv pip compile pyproject.toml $$more --generate-hashes --universal \
	    --python-version 3.11 --no-emit-index-url --quiet --output-file requirements/$$set.lock \
	    --custom-compile-command "make lock" || exit 1; \
	done

vendor: $(VENV)/run.stamp  ## put the libraries of the page into the tree, as requirements/vendor.json names them
	@$(BIN)/python requirements/vendor.py

clean:  ## remove .venv, data and logs
	rm -rf $(VENV) data logs/*.log*

# uv installs in seconds what takes pip minutes; without it, pip does.
$(VENV)/uv.stamp:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
	  || echo "uv could not be installed: pip will do"
	@touch $@

$(VENV)/run.stamp: requirements/run.lock | $(VENV)/uv.stamp
	@echo "installing the dependencies (PySpark is built once, about half a minute)"
	@$(call install,requirements/run.lock)
	@$(BIN)/python -m compileall -q tagapi tag_tasks api_server.py
	@touch $@

$(VENV)/celery.stamp: requirements/celery.lock | $(VENV)/run.stamp
	@echo "installing Celery"
	@$(call install,requirements/celery.lock)
	@touch $@

$(VENV)/dev.stamp: requirements/dev.lock | $(VENV)/uv.stamp
	@echo "installing the development dependencies"
	@$(call install,requirements/dev.lock)
	@touch $@ $(VENV)/run.stamp

# The command line, of this folder as it is: nothing is copied, so nothing has to be installed again.
$(BIN)/tagapi: Makefile | $(VENV)/run.stamp
	@printf '#!%s\n%s\n' "$(abspath $(BIN))/python" \
	  'import sys; sys.path.insert(0, "$(CURDIR)"); from tagapi.client.__main__ import main; main()' > $@
	@chmod +x $@

define install
if [ -x $(BIN)/uv ]; then \
  $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $(1); \
else \
  $(BIN)/python -m pip install --quiet --require-hashes -r $(1); \
fi
endef
