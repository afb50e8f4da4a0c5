# Everything one does with this repository. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)

# Where `make tools` puts what it builds. None of it is part of the product.
TOOLS := .cache/bin

# Tests run against a deadline: one that hangs is a failure, not a wait.
TEST_DEADLINE := 2100
PACKAGE_DEADLINE := 15m

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/backupd and bin/backupd-audit, with the version of the sources stamped in
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/backupd ./cmd/backupd
	CGO_ENABLED=0 go build -trimpath -o bin/backupd-audit ./cmd/backupd-audit

.PHONY: demo
demo: build ## see all of it at work on live data, in under three minutes
	@scripts/install-needs postgresql
	go run ./internal/demo

.PHONY: test
test: ## install what the tests need, and run them all
	@scripts/install-needs postgresql compiler chromium poppler openssl
	scripts/install-tools minio versitygw
	scripts/run-tests $(TEST_DEADLINE) $(PACKAGE_DEADLINE)

# How long `make soak` kills and checks.
SOAK ?= 1h

.PHONY: soak
soak: ## kill the program at random for an hour (SOAK=20m), and lose nothing
	@scripts/install-needs postgresql
	scripts/install-tools minio versitygw
	SOAK=$(SOAK) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./internal/soak

# How often `make calm` captures each function.
STEPS ?= 200

.PHONY: calm
calm: ## let the marketplace live and capture it STEPS times: no alarm; then attack it
	@scripts/install-needs postgresql
	SUSPECT_STEPS=$(STEPS) go test -count=1 -timeout 0 -v -run '^TestMarketLife$$' ./internal/snapshot

.PHONY: lint
lint: ## check style, layers and the usual mistakes
	@scripts/install-tools golangci-lint
	$(TOOLS)/golangci-lint run ./...

.PHONY: format
format: ## format all Go files
	@scripts/install-tools golangci-lint
	$(TOOLS)/golangci-lint fmt ./...

.PHONY: tools
tools: ## build the servers and tools that tests and lint use (once, minutes)
	scripts/install-tools minio versitygw golangci-lint

.PHONY: detection
detection: tools ## write docs/detection.md anew from a round of negative controls
	go test ./internal/controls -count=1 -run TestThePage -update

.PHONY: bench
bench: build ## measure against pg_dump and pg_restore (minutes, needs 15 GB of disk)
	@scripts/install-needs postgresql
	scripts/install-tools minio versitygw
	go run ./internal/bench $(BENCH_FLAGS)

.PHONY: clean
clean: ## remove what was built, but not the tools
	rm -rf bin
