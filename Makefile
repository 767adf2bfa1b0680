# The verbs of this project. Each sets up what it needs; logic longer than two lines is in .ci/.
#   make bench | bars | microbench | tables | test | check | format | stress | mutations | soak | docs | wheel | test-all | clean
PYTHON ?= python3
VENV ?= .venv
STRESS_SECONDS ?= 10
DURATION ?= 600

bin := $(VENV)/bin
core := $(wildcard src/asyncuring/_native/*.c src/asyncuring/_native/*.h) src/asyncuring/_native/build.py
linted := $(wildcard src tests benchmark/*.py benchmark/micro docs .ci/smoke.py setup.py)
rays := 'tests/test_docs_examples.py::test_example_runs[ray_files]'
native := $(wildcard src/asyncuring/_native/*.[ch] tests/native/*.[ch] benchmark/micro/*.c)

.PHONY: setup bench bars microbench tables test check format stress mutations soak docs wheel test-all clean

# Everything into $(VENV): an editable install with the extras that tests and benchmark need.
setup: $(VENV)/.core-done

bench: setup
	$(bin)/python -m asyncuring.benchmark

# What the library is meant to reach: BARS="a e" for some of them. The peers need CPython 3.12.
bars: $(VENV)/.peers-done
	$(bin)/python -m benchmark.bars $(BARS)

# What the parts of one op cost, beside the baseline; BASELINE=new makes these figures the baseline.
microbench: setup
	$(bin)/python -m benchmark.micro $(if $(filter new,$(BASELINE)),--new-baseline)

# What is in benchmark/results/, into the documents.
tables: setup
	$(bin)/python -m benchmark.tables

# COVERAGE=yes: and which lines ran; it takes half as long again.
test: setup
	$(bin)/python -m pytest $(if $(COVERAGE),--cov) --numprocesses auto

# Lint, formatting, types, and the C core with each warning an error, with and without liburing.
check: $(VENV)/.check-done
	$(bin)/ruff check $(linted) && $(bin)/ruff format --check $(linted) && $(bin)/mypy $(linted)
	$(bin)/clang-format --dry-run -Werror $(native) && .ci/warnings $(bin)/python

format: $(VENV)/.check-done
	$(bin)/ruff check --fix-only $(linted) ; $(bin)/ruff format $(linted) && $(bin)/clang-format -i $(native)

# The native core as a model and under the sanitizers, then the long tests. RECORD=yes: into docs/attacks.csv.
stress: setup $(VENV)/.ray-done
	.ci/stress-packages && .ci/model && .ci/stress $(bin)/python $(STRESS_SECONDS)
	$(if $(wildcard tests/stress),$(bin)/python -m pytest tests/stress $(rays) $(if $(RECORD),--record-attacks))

# The lock-free parts, weakened in one place after the other: their tests must notice. Some minutes.
mutations: setup
	$(bin)/python tests/native/mutations.py

# Many clients for DURATION seconds, and every read verified. KILL=yes: kill -9 a process instead.
soak: setup
	$(bin)/python -m tests.soak --duration $(DURATION) $(if $(KILL),--kill) $(if $(RECORD),--record-attacks)

# The manual; what its pages show as a session is tried. With LINKS=yes, links to elsewhere as well.
docs: $(VENV)/.docs-done
	$(bin)/python -m sphinx -q -W --keep-going -E docs docs/_build/html
	$(bin)/python -m sphinx -q -W -b doctest docs docs/_build/doctest
	$(if $(LINKS),$(bin)/python -m sphinx -q -W -b linkcheck docs docs/_build/links)

# An sdist and a wheel in dist/, looked at by auditwheel, tried in an empty environment.
wheel: $(VENV)/.release-done
	.ci/wheel $(bin)/python

# The tests on each supported Python that this machine has.
test-all:
	.ci/test-all

clean:
	rm -rf build dist docs/_build $(VENV) src/asyncuring/_native/*.so

$(VENV)/.python-$(notdir $(PYTHON)):
	.ci/virtual-environment $(PYTHON) $(VENV) && touch $@

# $? is what changed: the core alone is compiled again, a new pyproject.toml asks for everything.
$(VENV)/.core-done: $(VENV)/.python-$(notdir $(PYTHON)) pyproject.toml setup.py $(core)
	.ci/install $(bin)/python 'test,benchmark' $? && touch $@

$(addprefix $(VENV)/.,check-done docs-done peers-done ray-done release-done): $(VENV)/.%-done: pyproject.toml | setup
	.ci/install $(bin)/python $* $? && touch $@
