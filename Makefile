PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-all faults lint check bench dist install uninstall map clean

help:  ## show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "bottle>=0.13.2" "waitress>=3.0.1" "croniter>=6.0.0"
	touch $@

$(BIN)/.test: $(BIN)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check "pytest>=8.0" "pytest-xdist>=3.5" "hypothesis>=6.100" "alerta>=8.5.3" "cronsim>=2.6" "healthchecks-decorator>=0.5.0" "healthchecks-wrapper>=0.1.6" "httpx<0.28" "pydantic>=2" packaging pytz "aiosmtpd>=1.4" "ruff>=0.6" "build>=1.0" "hatchling>=1.21" setuptools
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "healthchecks-io>=0.4.4"  # it asks for an old croniter, and does without
	touch $@

run: $(BIN)/.run  ## serve on 127.0.0.1:8080, with the database in this folder
	$(BIN)/python alertlite.py serve

test: $(BIN)/.test  ## the quick tests, under a minute
	$(BIN)/python -m pytest -q -n 4 --dist worksteal -m "not slow"

test-slow: $(BIN)/.test  ## the slow tests alone: processes, clients, faults, long random runs
	$(BIN)/python -m pytest -q -n 4 --dist loadfile -m slow

test-all: $(BIN)/.test  ## all tests, with the slow fault tests
	$(BIN)/python -m pytest -q -n 4 --dist loadfile

faults: $(BIN)/.test  ## the fault tests at full length, and what they measured (an hour and a half; needs strace, faketime, systemd-analyze)
	FAULTS=full FAULT_SECONDS=180 $(BIN)/python -m pytest -q tests/test_listening.py tests/test_faults_*.py tests/test_durability.py tests/test_delivery_faults.py tests/test_operations.py

lint: $(BIN)/.test  ## ruff
	$(BIN)/ruff check .

check: lint test  ## lint and the quick tests

bench: $(BIN)/.test  ## speed, as ratios to a bare bottle + waitress server measured in the same run
	$(BIN)/python bench/bench.py

dist: $(BIN)/.test  ## wheel and source archive in dist/
	$(BIN)/python -m build --no-isolation

PREFIX ?= /opt/alertlite
UNITS ?= /etc/systemd/system

install:  ## install to /opt/alertlite, with systemd units (as root); then: systemctl enable --now alertlite.socket alertlite
	$(PYTHON) -m venv $(DESTDIR)$(PREFIX)
	$(DESTDIR)$(PREFIX)/bin/pip install --quiet --disable-pip-version-check .
	mkdir -p $(DESTDIR)$(UNITS)
	for unit in alertlite.service alertlite.socket alertlite-notify@.service; do \
		sed 's|/opt/alertlite|$(PREFIX)|' $$unit > $(DESTDIR)$(UNITS)/$$unit; done
	@echo "installed. Settings go to /etc/alertlite.conf; start: systemctl daemon-reload; systemctl enable --now alertlite.socket alertlite"

uninstall:  ## remove what install made; the database in /var/lib/private/alertlite stays
	rm -rf $(DESTDIR)$(PREFIX)
	rm -f $(DESTDIR)$(UNITS)/alertlite.service $(DESTDIR)$(UNITS)/alertlite.socket $(DESTDIR)$(UNITS)/alertlite-notify@.service

map:  ## the sections of alertlite.py and their sizes
	@awk '/^# =+ [A-Z]+$$/ {if (name) printf "  %-9s %5d lines\n", name, NR - start; name = $$3; start = NR} END {printf "  %-9s %5d lines\n", name, NR - start}' alertlite.py

clean:  ## remove what the others made
	rm -rf $(VENV) dist .pytest_cache .hypothesis .ruff_cache __pycache__ tests/__pycache__
