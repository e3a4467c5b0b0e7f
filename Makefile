# make test is the one command that tells whether all is well; make help lists the rest.

PYTHON ?= python3
BUILD  := .build
VENV   := $(BUILD)/venv
ERGANE := $(BUILD)/ergane

# The tests use an engine of their own folder so that they never touch yours;
# set ERGANE_ENGINE_DIR to share one.
export ERGANE_ENGINE_DIR ?= $(CURDIR)/$(BUILD)/engines
BOOT := $(CURDIR)/$(BUILD)/boot.json
# How the tests find the engine: its Python, and how it starts a kernel.
WITH_ENGINE = ERGANE_TEST_JAVA_BOOT=$(BOOT) \
  ERGANE_TEST_PYTHON=$$(sed -n 's/^  "python": "\(.*\)",*$$/\1/p' $(BOOT))

.PHONY: help test lint unit kernel e2e clients clients-short bench bench-short setup generate locks clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-13s %s\n", $$1, $$2}'

test: lint unit kernel e2e bench-short ## everything: format, lint, unit, kernel and end-to-end tests

lint: $(VENV)/.done ## gofmt, vet, staticcheck, ruff
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt these: $$out"; exit 1; fi
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(VENV)/bin/ruff check kernel e2e bench examples
	$(VENV)/bin/ruff format --check kernel e2e bench

unit: setup ## Go tests
	$(WITH_ENGINE) go test ./...

kernel: setup ## the kernel's Python tests, with and without Spark
	cd kernel && $(WITH_ENGINE) ../$(VENV)/bin/python -m pytest -q tests

e2e: setup $(ERGANE) ## boto3 and the aws CLI against the real server with real Spark
	$(VENV)/bin/python -m pytest -q e2e

clients: setup $(ERGANE) ## one scenario through every client there is, each installed for it
	$(VENV)/bin/python e2e/clients/run.py

clients-short: setup $(ERGANE) ## the same with the clients that install in seconds
	$(VENV)/bin/python e2e/clients/run.py --only boto3,cli,go,pyathena

bench: setup $(ERGANE) ## print the figures of docs/performance.md anew
	$(VENV)/bin/python bench/run.py

bench-short: setup $(ERGANE) ## a few rounds of bench, to see that it works
	$(VENV)/bin/python bench/run.py --short

setup: $(ERGANE) $(VENV)/.done ## the engine that the tests use
	$(ERGANE) setup
	go run ./internal/testkit/bootdoc $(ERGANE_ENGINE_DIR) $(CURDIR)/$(BUILD)/boot > $(BOOT)

generate: ## regenerate what is generated from the service model and the state tables
	go generate ./...
	go test . -run TestStateMachineDoc -update

clean: ## remove everything that make made
	rm -rf $(BUILD)

$(ERGANE): FORCE
	@mkdir -p $(BUILD)
	go build -o $@ ./cmd/ergane

$(VENV)/.done: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

.PHONY: FORCE
FORCE:
