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

.PHONY: help test lint unit fuzz kernel e2e clients clients-short formats chaos points chaos-short soak soak-short faults bench bench-short bench-peers bench-peers-short setup generate clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

test: lint unit fuzz kernel e2e clients-short chaos-short soak-short bench-short bench-peers-short ## everything: format, lint, unit, kernel and end-to-end tests

lint: $(VENV)/.done ## gofmt, vet, staticcheck, ruff
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt these: $$out"; exit 1; fi
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(VENV)/bin/ruff check kernel e2e bench examples
	$(VENV)/bin/ruff format --check kernel e2e bench

unit: setup ## Go tests
	$(WITH_ENGINE) go test ./...

# One fuzz test takes one go test of its own; FUZZ_SECONDS is for each of them.
FUZZ_SECONDS ?= 3
fuzz: ## every fuzz test for a few seconds: codec, signatures, page tokens, kernel protocol
	@mkdir -p $(BUILD)
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z]+' internal | sed 's|/[^/]*_test.go:func | |' | sort | \
	while read -r folder name; do \
	  echo "$$folder $$name"; \
	  go test "./$$folder" -run '^$$' -fuzz "^$$name\$$" -fuzztime "$(FUZZ_SECONDS)s" -fuzzminimizetime 10x >$(BUILD)/fuzz.log 2>&1 || { cat $(BUILD)/fuzz.log; exit 1; }; \
	done

kernel: setup ## the kernel's Python tests, with and without Spark
	cd kernel && $(WITH_ENGINE) ../$(VENV)/bin/python -m pytest -q -n 3 tests

e2e: setup $(ERGANE) ## boto3 and the aws CLI against the real server with real Spark
	$(VENV)/bin/python -m pytest -q -n 4 --dist loadfile e2e

clients: setup $(ERGANE) ## one scenario through every client there is, each installed for it
	$(VENV)/bin/python e2e/clients/run.py

clients-short: setup $(ERGANE) ## the same with the clients that install in seconds
	$(VENV)/bin/python e2e/clients/run.py --only boto3,cli,go,pyathena

ROUNDS ?= 1000
chaos: setup $(ERGANE) ## kill things at random moments, ROUNDS times, from SEED on, and see that nothing was lost
	$(VENV)/bin/python e2e/chaos/run.py --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

points: setup $(ERGANE) ## kill the server before and after every step of its way, and a shim at its
	$(VENV)/bin/python e2e/chaos/points.py

chaos-short: setup $(ERGANE) ## some of these points, a few rounds of chaos with stand-in kernels, and a few with Spark
	$(VENV)/bin/python e2e/chaos/points.py --every 4
	$(VENV)/bin/python e2e/chaos/run.py --rounds 30 --seed 100
	$(VENV)/bin/python e2e/chaos/run.py --rounds 5 --kernels real --seed 60000

MINUTES ?= 60
REAL ?= 1
soak: setup $(ERGANE) ## mixed traffic with kills for MINUTES, from SEED on, REAL sessions with Spark in it: nothing may grow
	$(VENV)/bin/python e2e/soak/run.py --minutes $(MINUTES) --real $(REAL) $(if $(SEED),--seed $(SEED))

soak-short: setup $(ERGANE) ## a minute of it with stand-in kernels
	$(VENV)/bin/python e2e/soak/run.py --minutes 1 --every 2 --life 100 --seed 100

faults: setup $(ERGANE) ## the faults that take minutes: S3 away for long, a clock that jumps
	$(VENV)/bin/python -m pytest -q e2e/long_away.py e2e/long_clock.py

formats: setup $(ERGANE) ## the table formats whose tests take minutes: Delta and Hudi
	$(VENV)/bin/python -m pytest -q e2e/long_formats.py

bench: setup $(ERGANE) ## print the figures of docs/performance.md anew
	$(VENV)/bin/python bench/run.py

bench-short: setup $(ERGANE) ## a few rounds of bench, to see that it works
	$(VENV)/bin/python bench/run.py --short

REPS ?= 5
bench-peers: setup $(ERGANE) ## Ergane beside its peers, each installed for it, REPS times in turn; writes docs/performance.md
	$(VENV)/bin/python bench/peers/run.py --reps $(REPS) --write

bench-peers-short: setup $(ERGANE) ## a few rows of it with the peers that install in seconds, to see that it works
	$(VENV)/bin/python bench/peers/run.py --short

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
