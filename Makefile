# Two commands do everything on a machine with git, make and a Rust toolchain: `make demo` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The tools that setup puts into the project come before the machine's own.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

CARGO := cargo

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what the demo needs (bubblewrap, git, python3, opencode)
	@deploy/setup.sh

.PHONY: demo
demo: setup ## Run a real job through real opencode in the sandbox; the result is in out/
	@deploy/demo.sh

.PHONY: test
test: lint ## Run every check that CI runs
	$(CARGO) build --workspace --bins --examples --locked
	$(CARGO) nextest run --workspace --locked --profile ci
	$(CARGO) test --workspace --locked --doc --quiet
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --locked --no-deps --quiet

.PHONY: lint
lint: setup-test ## Check format, lints, dependencies
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(CARGO) deny --locked check bans licenses sources

.PHONY: bench
bench: ## Measure whole processes, and streams against a bare handler
	$(CARGO) build --release --locked --package captain --package worker --package e2e --bins
	$(CARGO) run --release --locked --quiet --package e2e --bin bench
	$(CARGO) run --release --locked --quiet --package e2e --bin subscribers
	$(CARGO) bench --locked --package a2a-proto --bench stream
	$(CARGO) bench --locked --package captain --bench rate

.PHONY: bench-sdks
bench-sdks: ## Measure our server beside the official SDKs' own
	@tests/interop/setup.sh $(ONLY)
	$(CARGO) bench --locked --package a2a-proto --bench sdks -- $(ONLY)

# How long each target is fuzzed.
SECONDS_EACH ?= 60

.PHONY: fuzz
fuzz: ## Look for inputs that break a parser; SECONDS_EACH=600 for longer
	@deploy/setup.sh --fuzz
	for target in json sse rpc card grpc dialect path; do \
		mkdir -p target/fuzz-corpus/$$target; \
		$(CARGO) fuzz run --fuzz-dir tests/fuzz --sanitizer none --features engine $$target \
			target/fuzz-corpus/$$target tests/fuzz/corpus/$$target -- -max_total_time=$(SECONDS_EACH) -max_len=4096; \
	done

.PHONY: interop
interop: ## Run the official A2A SDKs against this build; ONLY='python go' for some
	@tests/interop/setup.sh $(ONLY)
	$(CARGO) build --locked --package captain --package worker --package e2e --bins
	$(CARGO) run --locked --quiet --package e2e --bin interop -- $(if $(ONLY),$(ONLY:%=--only %),--markdown docs/interop.md) --json .interop/report.json

.PHONY: interop-check
interop-check: ## The same; fails if what docs/interop.md has as ok is not
	@tests/interop/setup.sh $(ONLY)
	$(CARGO) build --locked --package captain --package worker --package e2e --bins
	$(CARGO) run --locked --quiet --package e2e --bin interop -- $(ONLY:%=--only %) --strict --markdown docs/interop.md --json .interop/report.json

.PHONY: build
build: ## Build the programs, optimised
	$(CARGO) build --release --locked --package captain --package worker

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
	rm -rf out

.PHONY: setup-test
setup-test:
	@deploy/setup.sh --test
