# Needs make and Python 3.11 or newer; everything else goes into .venv.

PYTHON ?= python3
# More for pytest or for the program: make test ARGS="-x -k gate tests/support"
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
BENCH := .venv/.bench
BENCH_FRAMEWORKS := .venvs/bench-frameworks/.ready
DOCS := .venv/.docs
DIST := .venv/.dist
PAGE := .venv/.page

# Where this is set, each of the hundreds of processes that the tests start compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-quick demo-postgres dist docs reference test test-postgres check conformance test-page test-mcp test-all soak mutants bench bench-quick \
	bench-full bench-frameworks bench-report bench-postgres page format clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do \
		printf '  make %-12s %s\n' "$$target" "$$what"; done

demo: $(READY)  ## under a minute: many agents at one file, today's ways and ours; ARGS=--full for longer
	$(BIN)/python examples/multi_agent.py $(ARGS)

demo-quick: $(READY)  ## the same in a few seconds
	$(BIN)/python examples/multi_agent.py --quick $(ARGS)

demo-postgres: $(READY)  ## half a minute: agents of four processes on a PostgreSQL server, which is killed; ARGS=--quick
	@$(BIN)/python -m tests.support.postgres || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[postgres-test]'
	$(BIN)/python examples/multi_agent_postgres.py $(ARGS)

test: $(READY)  ## run the tests, two at a time
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal $(ARGS)

test-postgres: $(READY)  ## the tests on a PostgreSQL server, which they start; or on that of AIOMEMDB_TEST_POSTGRES=URL
	@$(BIN)/python -m tests.support.postgres || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[postgres-test]'
	$(BIN)/python -m pytest --on-postgres tests/postgres tests/memory tests/pageserver tests/mcp/test_nine.py \
		tests/mcp/test_seven.py tests/mcp/test_differential.py $(ARGS)

check: $(READY)  ## formatting, lint, words, the reference, which room imports which, and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python .ci/words.py
	$(BIN)/python .ci/reference.py --check
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy --strict aiomemdb
	$(foreach folder,$(sort $(dir $(wildcard examples/*.py bench/*.py))),$(BIN)/mypy $(folder) &&) true
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python .ci/verify_types.py # pyright asks the first python on PATH

conformance: $(READY)  ## run the tests of other projects, fetched by pip, on our shapes and adapters: ARGS="--only sqlalchemy-2.1"
	$(BIN)/python -m conformance $(ARGS)

dist: $(DIST)  ## build the sdist and the wheel, check them, and install them with and without each extra: ten minutes
	$(BIN)/python .ci/dist.py $(ARGS)

docs: $(DOCS)  ## build the documentation's site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

reference: $(READY)  ## write the plain Markdown of docs/reference from the docstrings and the commands
	$(BIN)/python .ci/reference.py

test-page: $(PAGE)  ## run the tests of the page that shows a memory in Chromium, where there is one
	AIOMEMDB_PAGE=1 $(BIN)/python -m pytest tests/page $(ARGS)

test-mcp: $(READY)  ## run the MCP server's tests with each SDK, and beside the reference server on node
	$(BIN)/python -m tests.mcp.everywhere $(ARGS)

test-all:  ## run the tests on every Python, aiosqlite and event loop we support
	.ci/test_all.sh $(ARGS)

soak: $(READY)  ## run the tests that take minutes to hours; what they did goes to bench/results/reliability.json
	$(BIN)/python -m pytest -m soak --timeout=14400 --figures=bench/results/reliability.json $(ARGS)

mutants: $(READY)  ## take out one safety after another, and see which test misses it
	$(BIN)/python tests/faults/run_mutants.py $(ARGS)

bench: $(BENCH)  ## measure everything against what people use today: 25 minutes; make bench ARGS="--only storm"
	$(BIN)/python bench/run.py $(ARGS)
	$(if $(ARGS),,$(BIN)/python bench/shapes.py)

bench-quick: $(BENCH)  ## a little of each: does it run, is nothing lost?
	$(BIN)/python bench/run.py --quick $(ARGS)
	$(BIN)/python bench/processes.py --quick
	$(BIN)/python bench/shapes.py --quick
	$(BIN)/python bench/memory.py --quick
	$(BIN)/python bench/telemetry.py --quick
	$(BIN)/python bench/agent_read.py --quick
	$(BIN)/python bench/rooms.py

bench-full: $(BENCH)  ## ten million rows, a million jobs, ten thousand readers too, many processes and the memory at length
	$(BIN)/python bench/run.py --full $(ARGS)
	$(BIN)/python bench/processes.py
	$(BIN)/python bench/memory.py

bench-frameworks: $(BENCH_FRAMEWORKS)  ## what frameworks' own classes on SQLite do with many agents, beside ours
	.venvs/bench-frameworks/bin/python bench/frameworks.py $(ARGS)

page:  ## build the page that shows a memory from aiomemdb/view/page, which needs node; the output is committed
	cd aiomemdb/view/page && npm ci --silent --no-audit --no-fund && node build.mjs $(ARGS)

bench-report: $(READY)  ## write the figures of README and docs/measured from bench/results; measures nothing
	$(BIN)/python bench/report.py $(ARGS)

bench-postgres: $(READY)  ## aiomemdb on a PostgreSQL server, against asyncpg and psycopg
	@$(BIN)/python -c 'import asyncpg' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[bench-postgres]'
	$(BIN)/python bench/postgres.py $(ARGS)
	$(BIN)/python bench/postgres_memory.py $(ARGS)

format: $(READY)  ## generate aiomemdb.blocking and the reference, format the code and fix what ruff can fix
	$(BIN)/python -m tests.support.blocking_source
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python .ci/reference.py

clean:  ## remove the virtual environments, caches and builds
	rm -rf .venv .venvs aiomemdb/view/page/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once, and again when pyproject.toml changes. A venv without pip was cut short: it is made anew.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "aiomemdb needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# What builds the site.
$(DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

# What packs it.
$(DIST): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dist]'
	@touch $@

# What opens the page in a browser.
$(PAGE): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[page]'
	@touch $@

# The peers that bench/ measures, on top; nothing else needs them.
$(BENCH): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

# Frameworks bring much along: they have an environment of their own.
$(BENCH_FRAMEWORKS): pyproject.toml
	@[ -x $(@D)/bin/pip ] || $(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench-frameworks]'
	@touch $@
