# Larmnod. Every target installs what it needs and is not there yet (scripts/setup.sh says what).
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

BUILD   := .build/release
PROGRAM := $(BUILD)/larmnod
# One executable that needs no Swift runtime on the box, without its symbols.
RELEASE := -c release --static-swift-stdlib -Xlinker -s
export LARMNOD_PEERS := $(CURDIR)/.build-peers/main

.PHONY: help build test unit system test-board demo bench fuzz format lint clean

help: ## This list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## Build the one executable, .build/release/larmnod
	@scripts/setup.sh build
	swift build $(RELEASE) --product larmnod

demo: build ## Watch a site's alarms go to two centres, through a cut and a crash (about a minute)
	@scripts/setup.sh test
	@scripts/demo $(PROGRAM)

test: lint unit system ## Everything but the virtual board

lint: # The sources are formatted, and generated files are fresh
	@scripts/setup.sh test
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	python3 scripts/generate-vocabulary.py --check

unit: # The Swift tests
	@scripts/setup.sh test
	Tests/Standins/libgpiod/build.sh .build-standin
	mkdir -p .build-standin/board && : > .build-standin/board/board
	swift build --build-tests
	LD_LIBRARY_PATH=$(CURDIR)/.build-standin LARMNOD_FAKE_GPIO=$(CURDIR)/.build-standin/board swift test --skip-build

system: build # The real executable against independent peers, crashes, hostile receivers, full disks
	@scripts/setup.sh test
	python3 Tests/System/run.py $(PROGRAM)
	scripts/check-systemd.sh

test-board: build ## The real executable on a virtual board: GPIO lines, a UART, power cuts (first time: builds a kernel)
	@scripts/setup.sh test
	scripts/board/run.sh $(PROGRAM)

bench: build ## Measure speed and size beside their floors
	@scripts/setup.sh test
	scripts/bench $(PROGRAM)

fuzz: ## Fuzz the DC-09 parser and decryptor for ten minutes (DURATION=600)
	@scripts/setup.sh test
	scripts/fuzz.sh $(or $(DURATION),600)

format: ## Format all Swift sources
	swift format --in-place --recursive --parallel Sources Tests Package.swift

clean: ## Remove what was built here (the cache with kernel and peers stays)
	rm -rf .build .build-*
