# Every act of development. `make help` lists them.
#
#   PYTHON=...   the interpreter for a new environment (default: the newest usable)
#   VENV=...     the environment (default: .venv)
#   DJANGO=...   a requirement such as 'Django~=5.2.0' (default: the newest supported)
#   ARGS=...     passed on to pytest, the demo or the benchmarks
#   TIMES=... how often `make soak` runs the tests
#   FUZZ=... TIME=...  which properties of rust/properties to fuzz, how many seconds each

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
# Names in small letters are acts, and no files.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(MAKEFILE_LIST))

VENV ?= .venv
ARGS ?=
DJANGO ?=
MATRIX := 5.2 6.0 6.1
FUZZ ?= $(notdir $(wildcard rust/fuzz/corpus/*))
TIME ?= 60
TIMES ?= 10
# The tests that depend on who reads a value.
TYPES := tests/drivers/types tests/native tests/connections/test_cursor.py \
	$(patsubst %,tests/querysets/%.py,test_built_rows test_environments test_raw) \
	tests/querysets/compiled
# The tests beside other people's tools and servers.
BESIDE := tests/beside tests/connections/test_block_threads.py \
	tests/pool/test_figures.py tests/requests/test_servers.py

export PYTHON
BIN := $(VENV)/bin
RUN := $(BIN)/python
IN_PLACE := $(RUN) -c 'import setuptools; setuptools.setup()' --quiet
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYO3_PYTHON = $(abspath $(RUN))

COMPILED_FROM := pyproject.toml setup.cfg $(shell find native rust \
	\( -name target -o -name fuzz -o -name properties \) -prune \
	-o -type f ! -name '*.c' ! -name '*.html' -print)

# --- what people type -------------------------------------------------------------

help: ## list the acts
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.package ## stream 200,000 rows, serve a site: stock Django, and this package
	@$(RUN) examples/demo $(ARGS)

test: $(VENV)/.package ## run the tests on a real PostgreSQL (ARGS=... goes to pytest)
	DJANGO_ASYNC_FAST_IMPL=native $(RUN) -m pytest $(ARGS)
ifeq ($(ARGS),)
	DJANGO_ASYNC_FAST_IMPL=python $(RUN) -m pytest -m fallback
	$(MAKE) test-rust
endif

test-rust: ## run rust/'s own tests, among them what fuzzing found, in seconds
	cargo test --manifest-path rust/Cargo.toml --quiet --package wire --package properties

# The other tests run on psycopg[binary], which has a libpq of its own.
test-psycopg: ## run the type tests on psycopg's C and Python implementations
	$(MAKE) test-psycopg-run VENV=.venvs/psycopg-c

test-psycopg-run: $(VENV)/.psycopg-c
	for implementation in c python; do \
		PSYCOPG_IMPL=$$implementation DJANGO_ASYNC_FAST_IMPL=native \
			$(RUN) -m pytest -p tests.support.any_psycopg $(or $(ARGS),$(TYPES)) || exit 1; \
	done

# In an environment of its own: mysqlclient is compiled where it is installed.
test-mysql: ## run the tests of MySQL on Debian's MariaDB
	$(MAKE) test-mysql-run VENV=.venvs/mysql

test-mysql-run: $(VENV)/.mysql
	DJANGO_ASYNC_FAST_IMPL=native $(RUN) -m pytest $(or $(ARGS),tests/drivers/mysql)

# In an environment of their own: ddtrace is a plugin of pytest's, for one.
test-beside: ## run other people's tools beside the package: debug toolbar, Sentry, servers ...
	$(MAKE) test-beside-run VENV=.venvs/beside

test-beside-run: $(VENV)/.beside
	BESIDE_REQUIRED=1 DJANGO_ASYNC_FAST_IMPL=native \
		$(RUN) -m pytest -p no:ddtrace $(or $(ARGS),$(BESIDE))

# In an environment of their own: the package itself is checked without types of Django's.
test-typing: ## check a project that uses the package with mypy and pyright
	$(MAKE) test-typing-run VENV=.venvs/typing

test-typing-run: $(VENV)/.typing
	TYPING_REQUIRED=1 $(RUN) -m pytest $(or $(ARGS),tests/typing)

sanitize: $(VENV)/.compile ## run tests/native on compiled parts that watch their memory
	tools/sanitize $(RUN) $(ARGS)

sanitize-greenlets: $(VENV)/.compile ## run any tests so, the heap alone, on psycopg's C
	tools/sanitize --greenlets $(RUN) $(ARGS)

fuzz: ## look for bytes that break rust/wire (FUZZ="numeric inet" TIME=600)
	cd rust && for property in $(FUZZ); do \
		mkdir -p fuzz/found/$$property fuzz/artifacts/$$property && PROPERTY=$$property \
		cargo +nightly fuzz run property fuzz/found/$$property fuzz/corpus/$$property -- \
			-artifact_prefix=fuzz/artifacts/$$property/ \
			-max_total_time=$(TIME) -max_len=256 -print_final_stats=1 || exit 1; \
	done

fuzz-corpus: ## keep of what fuzzing found what reaches code that the corpus does not
	cd rust && for property in $(FUZZ); do \
		mkdir -p fuzz/found/$$property && PROPERTY=$$property \
		cargo +nightly fuzz run property fuzz/corpus/$$property fuzz/found/$$property -- \
			-merge=1 -use_counters=0 || exit 1; \
	done

test-matrix: $(MATRIX:%=test-django-%) ## run the tests on every supported Django

test-django-%:
	$(MAKE) test VENV=.venvs/$* DJANGO='Django~=$*.0'

test-314: ## run the tests on CPython 3.14, in a Debian unstable where there is none
	if command -v python3.14 >/dev/null && python3.14 -m ensurepip --version >/dev/null; \
	then $(MAKE) test VENV=.venvs/3.14 PYTHON=python3.14 ARGS='$(or $(ARGS),tests)'; \
	else tools/debian make test PYTHON=python3.14 ARGS='$(or $(ARGS),tests)'; fi

soak: $(VENV)/.package ## run the tests TIMES times; what C writes, and cores, are kept
	tools/soak $(RUN) $(TIMES) $(ARGS)

soak-requests: $(VENV)/.package ## 20,000 requests, clients leaving, sessions killed
	$(RUN) -m tests.faults.soak $(ARGS)

conformance: ## Django's own suite (DJANGO=5.2 MODE="sync bridge" LABELS=orm DATABASE=sqlite)
ifeq ($(DJANGO),)
	$(MAKE) conformance-run
else
	$(MAKE) conformance-run VENV=.venvs/$(DJANGO) DJANGO='Django~=$(DJANGO).0'
endif

conformance-run: $(VENV)/.conformance
	$(RUN) -m tools.conformance $(if $(MODE),--mode '$(MODE)') \
		$(if $(DATABASE),--database $(DATABASE)) \
		$(if $(PARALLEL),--parallel $(PARALLEL)) \
		$(if $(TASKS),--tasks $(TASKS)) $(LABELS)

conformance-all: ## every mode on every supported Django, then the report
	for django in $(MATRIX); do \
		$(MAKE) conformance DJANGO=$$django MODE='stock sync bridge concurrent' \
			|| failed=1; \
	done; $(MAKE) conformance-report; [ -z "$$failed" ]

conformance-report: $(VENV)/.package ## write docs/conformance.md from the runs
	$(RUN) -m tools.conformance.report

dev: $(VENV)/.dev ## rebuild both compiled parts in place, in seconds
	$(IN_PLACE) build_ext --inplace --force
	@touch $(VENV)/.package

dev-rust: $(VENV)/.dev ## rebuild rust/ alone, with maturin
	cd rust && $(abspath $(RUN)) -m maturin develop --quiet --release

build: $(VENV)/.dev ## build dist/: the sdist, and the wheel from it
	$(RUN) -m build --outdir dist

# What this machine does not have to build them with, a Debian unstable has.
wheels: ## build the wheels of a release for Linux (ARGS="--twice --python 3.13")
	export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct); \
	if command -v python3.14 >/dev/null; then $(MAKE) wheels-here; \
	else BRING=dist DEBIAN_PACKAGES="rust-src binutils" \
		tools/debian make wheels-here ARGS='$(ARGS)'; fi

wheels-here: ## the same with the CPythons and Rust targets that are here
	"$${PYTHON:-$$(tools/find_python)}" -m tools.wheels $(ARGS)

test-wheel: ## try the wheels that this machine can run in bare environments
	"$${PYTHON:-$$(tools/find_python)}" -m tools.wheels.trial $(ARGS)

bench: $(VENV)/.dev ## run the benchmarks
	$(RUN) -m bench $(ARGS)

bench-calls: $(VENV)/.package ## are the Python calls of each operation within budget?
	$(RUN) -m bench.budgets $(ARGS)

bench-budgets: $(VENV)/.package ## write what is counted now to bench/budgets/budgets.json
	$(RUN) -m bench.budgets --instructions --write $(ARGS)

bench-record: $(VENV)/.dev ## run the benchmarks, and keep a small record in bench/history/
	$(RUN) -m bench $(ARGS)
	$(RUN) -m bench.dashboard record

bench-check: $(VENV)/.dev ## the budgets, and a run against the last record (ARGS="--only rows")
	$(RUN) -m bench.budgets --instructions
	$(RUN) -m bench $(ARGS)
	$(RUN) -m bench.dashboard check

dashboard: $(VENV)/.package ## one page of all records: build/dashboard/index.html
	$(RUN) -m bench.dashboard page

bench-memory: $(VENV)/.dev ## stream 5,000,000 rows, and watch the memory
	$(RUN) -m bench.suites.memory $(ARGS)

lint: $(VENV)/.dev ## check style, types, Cython and Rust
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(BIN)/lint-imports
	$(RUN) -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist native/stubs_allowed \
		django_async_fast._rows django_async_fast._decode
	PATH="$(abspath $(BIN)):$$PATH" cython-lint native
	cargo fmt --manifest-path rust/Cargo.toml --check
	cargo clippy --manifest-path rust/Cargo.toml --quiet --all-targets -- -D warnings

docs: $(VENV)/.docs ## build the documentation into build/site, and check its links
	$(RUN) -m sphinx -W --keep-going -q docs build/site
	DOCS_REQUIRED=1 $(RUN) -m pytest -q tests/docs
	@echo "build/site/index.html"

docs-links: $(VENV)/.docs ## ask for the addresses outside that the documentation names
	$(RUN) -m sphinx -q -b linkcheck docs build/links

clean: ## remove what was built (the environments stay: rm -r .venv .venvs)
	rm -rf build dist *.egg-info rust/target native/*.c native/*.html
	rm -rf rust/fuzz/target rust/fuzz/found rust/fuzz/artifacts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .coverage
	rm -f django_async_fast/*.so $(VENV)/.package .venvs/*/.package
	find . -name .git -prune -o -name '.venv*' -prune -o -name __pycache__ -print \
		| xargs rm -rf

# --- the environment: each stamp says that its step was done ----------------------

$(VENV)/.environment: pyproject.toml
	@echo "Preparing the environment $(VENV) ..."
	@$(RUN) -c '' 2>/dev/null || "$${PYTHON:-$$(tools/find_python)}" -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(RUN) -m pip install --quiet --group demo --group test
	@touch $@

$(VENV)/.package: $(VENV)/.environment $(COMPILED_FROM)
	@echo "Compiling the package (a minute or so, the first time) ..."
	@rm -f native/*.c  # Cython does not see that a header changed
	@$(RUN) -m pip install -qq --editable . $(if $(DJANGO),'$(DJANGO)')
	@touch $@

$(VENV)/.conformance: $(VENV)/.package
	@$(RUN) -m pip install --quiet --group conformance
	@touch $@

# pip reports a conflict where the newest C implementation is older than the package asks
# for, and installs it: tests/support/any_psycopg.py says why it will do.
$(VENV)/.psycopg-c: $(VENV)/.package
	@$(RUN) -m pip uninstall --quiet --yes psycopg-binary
	@$(RUN) -m pip install --quiet --group psycopg-c
	@touch $@

$(VENV)/.beside: $(VENV)/.package
	@$(RUN) -m pip install --quiet --group beside
	@$(RUN) -m pip install --quiet --no-deps --group beside-prometheus
	@touch $@

$(addprefix $(VENV)/.,docs typing compile dev mysql): $(VENV)/.%: $(VENV)/.package
	@$(RUN) -m pip install --quiet --group $*
	@touch $@
