# make demo       see a message go through the command, in one minute
# make test       everything that must hold: lint, types, manual, tests
# make install    PREFIX=/usr/local DESTDIR= PYTHON=/usr/bin/python3; needs only make and that Python
# make uninstall  the same variables
# make bench      instruction counts of the installed command
# make dist       source archive and wheel, in dist/
# make deb        packages for Debian, in dist/; needs debhelper, dh-python and dpkg-dev

PREFIX = /usr/local
DESTDIR =
PYTHON = $(if $(wildcard /usr/bin/python3),/usr/bin/python3,$(shell command -v python3))
VENV = .venv
PYTEST_ARGS =

READY = $(VENV)/.ready

.PHONY: help demo test lint types man-lint pytest bench install uninstall dist deb clean

help:
	@sed -n 's/^# //;/^$$/q;p' Makefile

# The variables travel in the environment: any path works, with blanks and quotes in it.
install uninstall: export PYSENDMAIL_PREFIX = $(PREFIX)
install uninstall: export PYSENDMAIL_DESTDIR = $(DESTDIR)
install uninstall: export PYSENDMAIL_PYTHON = $(PYTHON)
install uninstall:
	@"$$PYSENDMAIL_PYTHON" -ISB install.py $@

$(READY): setup.cfg pyproject.toml
	"$(PYTHON)" -m venv "$(VENV)"
	"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch "$@"

test: lint types man-lint pytest

lint: $(READY)
	"$(VENV)/bin/ruff" check .

types: $(READY)
	"$(VENV)/bin/mypy"

# PYSENDMAIL_CI is set where nothing may be skipped.
man-lint:
	@if command -v mandoc >/dev/null; then \
	    report=$$(mandoc -T lint -W warning man/*.[1-8] 2>&1) && [ -z "$$report" ] || { printf '%s\n' "$$report"; exit 1; }; \
	    echo 'man-lint: silent'; \
	else \
	    echo 'man-lint: skipped, mandoc is not installed'; [ -z "$$PYSENDMAIL_CI" ]; \
	fi

pytest: $(READY)
	"$(VENV)/bin/python" -m pytest $(PYTEST_ARGS)

demo: $(READY)
	@"$(VENV)/bin/python" -m tests.demo

bench: $(READY)
	@"$(VENV)/bin/python" -m tests.bench

dist: $(READY)
	"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check build
	"$(VENV)/bin/python" -m build --outdir dist .

# In a copy: what debhelper leaves behind, and the archive of the sources, are not to lie about here.
deb:
	rm -rf build/deb && mkdir -p build/deb/pysendmail dist
	cp -a CHANGES LICENSE Makefile README.md completions debian install.py man pysendmail systemd build/deb/pysendmail/
	find build/deb -name __pycache__ -type d -prune -exec rm -rf {} +
	cd build/deb/pysendmail && dpkg-buildpackage --no-sign
	cp build/deb/pysendmail*.* dist/

clean:
	rm -rf "$(VENV)" build dist pysendmail.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find pysendmail tests -name __pycache__ -type d -prune -exec rm -rf {} +
