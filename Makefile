# make test is the one command that tells whether all is well; make help lists the rest.

PYTHON ?= python3
BUILD  := .build
VENV   := $(BUILD)/venv
ERGANE := $(BUILD)/ergane

# The tests use an engine of their own folder so that they never touch yours;
# set ERGANE_ENGINE_DIR to share one.
export ERGANE_ENGINE_DIR ?= $(CURDIR)/$(BUILD)/engines
BOOT := $(CURDIR)/$(BUILD)/boot.json
# Runs tests in a box of namespaces, where they can harm nothing beside them.
SUITE := $(BUILD)/suite

.PHONY: help build test lint unit fuzz kernel e2e again one race downloads clients clients-short formats chaos points chaos-short soak soak-short faults bench bench-short bench-peers setup model generate clean

help: ## list the targets
	@grep -E '^[a-z0-9 -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'

test: $(SUITE) $(VENV)/.done ## every test: each part, whatever failed before, and one table at the end
	$(SUITE) run

lint: $(VENV)/.done ## gofmt, vet, staticcheck, ruff
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt these: $$out"; exit 1; fi
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(VENV)/bin/ruff check kernel e2e bench examples
	$(VENV)/bin/ruff format --check kernel e2e bench

unit fuzz kernel e2e clients-short chaos-short soak-short bench-short: $(SUITE) downloads ## one part of it
	$(SUITE) run $(patsubst %-short,%,$@)

TEST ?= e2e/test_cancel.py
N ?= 50
again: $(SUITE) downloads ## one test N times beside two busy loops: TEST=e2e/test_x.py::test_y, TEST=internal/kernel:TestY
	$(SUITE) again $(N) '$(TEST)'

one: $(SUITE) setup ## one test once: TEST=e2e/test_x.py::test_y, TEST=kernel/tests/test_x.py::test_y, TEST=internal/kernel:TestY
	$(ERGANE) setup --formats iceberg
	$(SUITE) again 1 '$(TEST)'

race: $(SUITE) downloads ## the Go tests that share most, with the race detector
	$(SUITE) run race

clients: setup $(SUITE) ## one scenario through every client there is, each installed for it
	$(VENV)/bin/python e2e/clients/run.py --install
	$(SUITE) box $(VENV)/bin/python e2e/clients/run.py

ROUNDS ?= 1000
chaos: $(SUITE) downloads ## kill things at random moments, ROUNDS times, from SEED on, and see that nothing was lost
	$(SUITE) box $(VENV)/bin/python e2e/chaos/run.py --rounds $(ROUNDS) --kernels $(or $(KERNELS),standin) $(if $(SEED),--seed $(SEED))

points: $(SUITE) downloads ## kill the server before and after every step of its way, and a shim at its
	$(SUITE) box $(VENV)/bin/python e2e/chaos/points.py

MINUTES ?= 60
REAL ?= 1
soak: $(SUITE) downloads ## mixed traffic with kills for MINUTES, from SEED on, REAL sessions with Spark in it: nothing may grow
	$(SUITE) box $(VENV)/bin/python e2e/soak/run.py --minutes $(MINUTES) --real $(REAL) $(if $(SEED),--seed $(SEED))

faults: $(SUITE) downloads ## the faults that take minutes: S3 unreachable for long, a clock that jumps
	$(SUITE) box $(VENV)/bin/python -m pytest -q e2e/long_away.py e2e/long_clock.py

formats: $(SUITE) downloads ## the table formats whose tests take minutes: Delta and Hudi
	$(ERGANE) setup --formats iceberg,delta,hudi
	$(SUITE) box $(VENV)/bin/python -m pytest -q e2e/long_formats.py

bench: $(SUITE) downloads ## measure the figures of docs/performance.md again
	$(SUITE) box $(VENV)/bin/python bench/run.py

REPS ?= 5
bench-peers: $(SUITE) downloads ## Ergane beside its peers, each installed for it, REPS times in turn; writes docs/performance.md
	$(VENV)/bin/python bench/peers/run.py --install
	$(SUITE) box $(VENV)/bin/python bench/peers/run.py --reps $(REPS) --write

# All that comes over the network; the box in which tests run has none.
downloads: setup
	$(ERGANE) setup --formats iceberg
	go mod download
	$(VENV)/bin/python e2e/clients/run.py --install --only boto3,cli,go,pyathena
	$(VENV)/bin/python bench/peers/run.py --install --short

setup: $(ERGANE) $(VENV)/.done ## the engine that the tests use
	$(ERGANE) setup
	go run ./internal/testkit/bootdoc $(ERGANE_ENGINE_DIR) $(CURDIR)/$(BUILD)/boot > $(BOOT)

model: $(VENV)/.done ## take Athena's service model from the newest botocore, and generate from it
	cd internal/athena && go run ./gen -refresh $(CURDIR)/$(VENV)/bin/python
	$(MAKE) generate

generate: ## regenerate what is generated from the service model, the state tables and the flags
	go generate ./...
	go test . -run TestStateMachineDoc -update
	go test ./cmd/ergane -run TestConfigurationDoc -update

clean: ## remove everything that make made
	rm -rf $(BUILD)

build: $(ERGANE) ## the binary, .build/ergane

$(ERGANE): FORCE
	@mkdir -p $(BUILD)
	go build -o $@ ./cmd/ergane

$(SUITE): FORCE
	@mkdir -p $(BUILD)
	go build -o $@ ./internal/testkit/suite

$(VENV)/.done: requirements-dev.txt e2e/harness.pth
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	cp e2e/harness.pth $(VENV)/lib/python*/site-packages/
	touch $@

.PHONY: FORCE
FORCE:
