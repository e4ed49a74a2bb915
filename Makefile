# Larmnod. Every target installs what it needs and is not there yet (scripts/setup.sh says what).
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

BUILD   := .build/release
PROGRAM := $(BUILD)/larmnod
# One executable that needs no Swift runtime on the box, without its symbols.
RELEASE := -c release --static-swift-stdlib -Xlinker -s
export LARMNOD_PEERS := $(CURDIR)/.build-peers/main

.PHONY: help build test unit gpiod2 system simulate mutations test-board test-board-gpiod2 demo bench fuzz format lint clean

help: ## This list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## Build the one executable, .build/release/larmnod
	@scripts/setup.sh build
	swift build $(RELEASE) --product larmnod

demo: build ## Watch a site's alarms go to two centres, through a cut and a crash (about a minute)
	@scripts/setup.sh test
	@scripts/demo $(PROGRAM)

# The program is built once, before the simulation is: building that in between would have it built again.
test: lint unit gpiod2 build simulate mutations system ## Everything but the virtual board

lint: # The sources are formatted, and generated files are fresh
	@scripts/setup.sh test
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	python3 scripts/generate-vocabulary.py --check
	python3 scripts/generate-devices.py --check

unit: # The Swift tests
	@scripts/setup.sh test
	Tests/Standins/libgpiod/build.sh .build-standin
	mkdir -p .build-standin/board && : > .build-standin/board/board
	swift build --build-tests
	scripts/fuzz.sh check
	LD_LIBRARY_PATH=$(CURDIR)/.build-standin LARMNOD_FAKE_GPIO=$(CURDIR)/.build-standin/board swift test --skip-build

gpiod2: # The GPIO tests again, with libgpiod 2.x, which is built from its source
	@scripts/setup.sh test
	scripts/libgpiod2.sh tests

system: build # The real executable against independent peers, crashes, hostile receivers, full disks
	@scripts/setup.sh test
	python3 Tests/System/run.py $(PROGRAM)
	scripts/check-systemd.sh

simulate: ## The daemon in 1000 simulated worlds of a day each (SEEDS=4711, SEEDS=1..50, HOURS=1000000, TRACE=1)
	@scripts/setup.sh test
	LARMNOD_SIMULATION=1 swift build $(RELEASE) --product simulate
	$(BUILD)/simulate $(or $(SEEDS),1..1000) $(if $(HOURS),--hours $(HOURS)) $(if $(TRACE),--trace)
	$(if $(SEEDS)$(HOURS),,$(BUILD)/simulate 1001..1010 --twice)

mutations: # Each planted bug is found by the simulation
	@scripts/setup.sh test
	scripts/mutations/plant.py
	LARMNOD_SIMULATION=mutants swift build $(RELEASE) --product mutants
	scripts/mutations/run.py $(BUILD)/mutants

test-board: build ## The real executable on a virtual board: GPIO lines, four UARTs, power cuts (first time: builds a kernel)
	@scripts/setup.sh test
	scripts/board/run.sh $(PROGRAM) $(addprefix --tests ,$(wildcard .build/debug/larmnodPackageTests.xctest))

test-board-gpiod2: build ## The same, with the contacts' cases on libgpiod 2.x as well
	@scripts/setup.sh test
	scripts/board/run.sh $(PROGRAM) --also "$$(scripts/libgpiod2.sh build $(RELEASE))"

bench: build ## Measure speed and size beside their floors
	@scripts/setup.sh test
	LARMNOD_SIMULATION=1 swift build $(RELEASE) --product simulate
	scripts/bench $(PROGRAM)

fuzz: ## Fuzz every decoder of bytes from outside, each target for ten minutes (DURATION=600)
	@scripts/setup.sh test
	scripts/fuzz.sh $(or $(DURATION),600)

format: ## Format all Swift sources
	swift format --in-place --recursive --parallel Sources Tests Package.swift

clean: ## Remove what was built here (the cache with kernel and peers stays)
	rm -rf .build .build-*
