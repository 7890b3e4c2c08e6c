# Works with GNU make 3.81 and later. Every path is relative: targets cannot have a space in them, folders above can.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet
# Of the machine's interpreters, the first that is new enough and can make a virtual environment.
INTERPRETERS := python3.13 python3.12 python3.11 python3 python
# An environment made by another tool, or one whose making was broken off, may have no pip.
ENSURE_PIP := $(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m ensurepip --upgrade >/dev/null
UTF8 := PYTHONUTF8=1 PYTHONUNBUFFERED=1

.PHONY: help demo test themes helpdesk schemathesis release matrix mutants lint messages pictures docs benchmark soak clean

help:
	@echo 'make demo       a helpdesk whose customers can be called, with a simulated Exotel; Ctrl-C ends it'
	@echo 'make demo ONCE=1                                ends after the first call: 0 if ticket and simulator agree'
	@echo 'make demo SPEED=1                               the first call in real time instead of seven times as fast'
	@echo 'make demo LIVE=1 AGENT=+91… CUSTOMER=+91… EXOPHONE=+91…   rings two real phones, after a typed yes'
	@echo 'make test       the whole suite: SQLite, PostgreSQL, MariaDB, Redis, a browser; ARGS="…" goes to tests/run.py'
	@echo 'make themes     an agent'"'"'s and a supervisor'"'"'s work in the stock admin and under six themes, in a browser; ARGS="unfold grappelli" for some'
	@echo 'make helpdesk   the recipe for django-helpdesk, on its own pages, in a browser'
	@echo "make schemathesis  what schemathesis makes of the API's schema, and a generated client, at the example project"
	@echo 'make release    builds and checks what is published, and does what README says with it under every supported pair'
	@echo 'make matrix     the suite under every supported pair of Python and Django'
	@echo 'make mutants    changes lifecycle in every way that mutmut knows; each has to fail a test'
	@echo 'make lint       ruff, mypy, import-linter, missing migrations'
	@echo 'make messages   extracts the text for translators, and compiles the translations; needs GNU gettext'
	@echo 'make pictures   the pictures of README and documentation, in docs/images; needs Chromium and a font for Hindi'
	@echo 'make docs       the documentation, in docs/_build'
	@echo 'make benchmark  a callback beside a bare Django view, place_call beside the least that is safe, pages, reports and API with a million calls, exotel_sync with 5,000 agents, and the files that both pass'
	@echo 'make soak       many thousand calls with faults by chance; ARGS="--calls 2000" for a short one'
	@echo 'make clean      removes the virtual environment, the demo'"'"'s data and everything that was built'

demo: .venv/package.stamp
	@cd example_project && exec env $(UTF8) PYTHONPATH=.. DJANGO_SETTINGS_MODULE=config.settings ../$(PYTHON) -m demo \
		$(if $(ONCE),--once) $(if $(SPEED),--speed='$(SPEED)') \
		$(if $(LIVE),--live --agent='$(AGENT)' --customer='$(CUSTOMER)' --exophone='$(EXOPHONE)')

test: .venv/test.stamp
	@exec env $(UTF8) $(PYTHON) tests/run.py $(ARGS)

themes: .venv/matrix.stamp
	@exec env $(UTF8) $(PYTHON) -m nox -s $(if $(ARGS),$(foreach theme,$(ARGS),'themes($(theme))'),themes)

helpdesk: .venv/matrix.stamp
	@exec env $(UTF8) $(PYTHON) -m nox -s helpdesk $(if $(ARGS),-- $(ARGS))

schemathesis: .venv/matrix.stamp
	@exec env $(UTF8) $(PYTHON) -m nox -s schemathesis generated_client

release: .venv/matrix.stamp
	@exec env $(UTF8) $(PYTHON) -m nox -s release installed

matrix: .venv/matrix.stamp
	@exec env $(UTF8) $(PYTHON) -m nox -s matrix $(ARGS)

mutants: .venv/test.stamp .venv/mutants.stamp
	@exec env $(UTF8) $(PYTHON) -m tests.properties.mutants

lint: .venv/lint.stamp
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	SQLITE_NAME=:memory: $(PYTHON) -m django makemigrations --check --dry-run --settings=tests.settings --pythonpath=.
	$(PYTHON) example_project/manage.py makemigrations --check --dry-run

messages: .venv/package.stamp
	@exec env $(UTF8) $(PYTHON) -m tests.messages

pictures: .venv/test.stamp
	@exec env $(UTF8) $(PYTHON) -m tests.pictures

docs: .venv/docs.stamp
	$(PYTHON) -m sphinx -W docs docs/_build

benchmark: .venv/test.stamp .venv/benchmark.stamp
	@env $(UTF8) $(PYTHON) benchmarks/callbacks.py $(ARGS)
	@env $(UTF8) $(PYTHON) benchmarks/presses.py $(ARGS)
	@env $(UTF8) $(PYTHON) benchmarks/pages.py
	@env $(UTF8) $(PYTHON) benchmarks/reports.py
	@env $(UTF8) $(PYTHON) benchmarks/report_file.py
	@env $(UTF8) $(PYTHON) benchmarks/api.py
	@env $(UTF8) $(PYTHON) benchmarks/sync.py
	@exec env $(UTF8) $(PYTHON) benchmarks/trace.py

soak: .venv/test.stamp
	@exec env $(UTF8) $(PYTHON) benchmarks/soak.py $(ARGS)

clean:
	rm -rf .venv .nox .demo artifacts build dist docs/_build htmlcov .coverage* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# A stamp is younger than pyproject.toml when what it stands for is installed.
# The extra has what the commands of docs/api.md need, which work in the demo as they stand.
PACKAGE := '.[openapi]'

.venv/package.stamp: pyproject.toml | .venv/bin/python
	@echo 'Installing django-exotel-ccm and what it needs into .venv …'
	@$(ENSURE_PIP)
	@$(PIP) install --editable $(PACKAGE) || { \
		echo 'pip could not install what is needed. This first time it needs the network; then type: make $(MAKECMDGOALS)'; \
		exit 1; }
	@touch $@

# "pip install --group" came with pip 25.1; what a new environment has may be older.
.venv/pip.stamp: | .venv/bin/python
	@$(ENSURE_PIP)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

.venv/test.stamp .venv/lint.stamp .venv/docs.stamp .venv/matrix.stamp .venv/mutants.stamp .venv/benchmark.stamp: .venv/%.stamp: pyproject.toml | .venv/pip.stamp
	@echo 'Installing what "$*" needs into .venv …'
	@$(PIP) install --editable $(PACKAGE) --group $*
	@touch $@ .venv/package.stamp

.venv/bin/python:
	@new=; \
	for python in $(INTERPRETERS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			new=$$python; \
			if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
				echo "Making .venv with $$python …"; \
				rm -rf .venv && exec "$$python" -m venv .venv; \
			fi; \
		fi; \
	done; \
	if [ -n "$$new" ]; then \
		version=$$("$$new" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Python $$version is here, but without its module venv. On Debian or Ubuntu, type:"; \
		echo "    sudo apt install python$$version-venv"; \
	else \
		echo 'This needs Python 3.11 or newer, and there is none on the PATH. Type one of:'; \
		echo '    sudo apt install python3 python3-venv      (Debian 12, Ubuntu 24.04 and newer)'; \
		echo '    brew install python@3.13                   (macOS)'; \
	fi; \
	exit 1
