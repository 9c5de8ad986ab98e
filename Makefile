# Every target does all of its own set-up: after a clone, any of them works at once.
# Needed: Go, git, make, and a Go module proxy. Nothing here needs root but the targets that
# say so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The version of Kubernetes to make available, one of distro/kubernetes/v*.mod.
VERSION ?= v1.36.3
# A server with official binaries, laid out like https://dl.k8s.io; empty: compile them.
FROM ?=
# Further arguments for the myriad command of up, down and status.
ARGS ?=

REVISION := $(shell git describe --tags --always 2>/dev/null || echo unknown)
MODULE := github.com/myriad-fleet/myriad
TOOLS := $(CURDIR)/out/tools

# The same flags everywhere, so that builds, tests and the linter share what was compiled.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false
# Where tests find what 'distro' and 'build' make.
export MYRIAD_DISTRO ?= $(CURDIR)/out/distro
export MYRIAD_BIN ?= $(CURDIR)/bin/myriad

##@ Run

.PHONY: up
up: distro build ## Build everything, start the hub and three cells, and create the cluster hello
	bin/myriad up $(ARGS)

.PHONY: down
down: build ## Stop what 'make up' started, and only that; its data stays
	bin/myriad down $(ARGS)

.PHONY: status
status: build ## Show what runs
	bin/myriad status $(ARGS)

##@ Test

.PHONY: test
test: distro build $(TOOLS)/gotestsum ## Run every suite: unit, integration and e2e
	hack/test unit integration e2e

.PHONY: unit
unit: $(TOOLS)/gotestsum ## Run the tests of single packages, which start no Kubernetes
	hack/test unit

.PHONY: integration
integration: distro build $(TOOLS)/gotestsum ## Run the tests of several packages against real Kubernetes and etcd processes
	hack/test integration

.PHONY: e2e
e2e: distro build $(TOOLS)/gotestsum ## Run the tests of whole fleets through the myriad command
	hack/test e2e

.PHONY: e2e-lab
e2e-lab: ## Run the tests of guests in a real cluster, a lab of three kubelets on this machine; needs root
	@[[ $$EUID == 0 ]] || { echo 'e2e-lab: needs root: namespaces, mounts and cgroups of three kubelets' >&2; exit 1; }
	$(MAKE) lab-distro build $(TOOLS)/gotestsum
	hack/test lab

.PHONY: e2e-full
e2e-full: distro build $(TOOLS)/gotestsum ## Run e2e without shortcuts, an older Kubernetes included: over half an hour, too long for CI
	go run ./hack/distro -version v1.35.4 -out out/distro
	MYRIAD_E2E_FULL=1 E2E_TIMEOUT=60m hack/test e2e

.PHONY: bench
bench: distro build ## Measure against the same processes started by hand, as ratios, into out/bench
	go run ./test/bench

.PHONY: bench-lab
bench-lab: lab-distro build ## Measure guests in the lab against the same pods applied by hand, into out/bench; needs root
	go run ./test/bench -run lab-create,lab-burst,lab-ready-lag,lab-delete,lab-agent

# All arguments for bench-scale, in place of its own, for example: make bench-scale SCALE='-clusters 1000 -rate 6 -seed 2'.
# Its own are those of docs/scale.md: two cores take in 6 clusters a second. At the program's default of 100 they fall behind,
# and clusters are not heard of for minutes, which counts as a broken promise.
SCALE ?=

.PHONY: bench-scale
bench-scale: distro build ## Run 1,000, 3,000 and 10,000 clusters through a hub with simulated cells, into out/bench: hours on two cores; SCALE='-clusters N ...' runs one
	if [[ -n '$(SCALE)' ]]; then go run ./test/scale $(SCALE); else for size in 1000 3000 10000; do go run ./test/scale -clusters $$size -rate 6 -idle 120s -away 130s -day 2m; done; fi

.PHONY: scale
scale: distro build ## Run 500 clusters through a hub with simulated cells and see that no promise is broken: 3 minutes
	go run ./test/scale -clusters 500 -cells 10 -regions 5 -rate 50 -zone 3s -idle 5s -away 10s -day 8s -out out/bench/small

##@ Lab

.PHONY: lab-up
lab-up: lab-distro ## Bring a real cell up on this machine, three kubelets in three zones; needs root and cgroup v1
	go run ./test/lab/cmd up $(ARGS)

.PHONY: lab-down
lab-down: ## Remove the lab and all of its traces; needs root
	go run ./test/lab/cmd down $(ARGS)

.PHONY: lab-status
lab-status: ## Show the lab's nodes and what runs
	go run ./test/lab/cmd status $(ARGS)

##@ Check

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run the linters of .golangci.yml
	$(TOOLS)/golangci-lint run ./...

.PHONY: verify
verify: $(TOOLS)/controller-gen ## Fail if generated files, formatting or modules are not up to date, or files are not committed
	hack/verify

.PHONY: generate
generate: $(TOOLS)/controller-gen ## Generate deep copies and CRDs from api/, and docs/cli.md from the command
	$(TOOLS)/controller-gen object crd paths=./api/... output:crd:dir=internal/hub/crds
	$(MAKE) build
	bin/myriad docs >out/cli.md
	mv out/cli.md docs/cli.md

##@ Build

.PHONY: distro
distro: ## Compile Kubernetes VERSION and etcd (or download with FROM=URL) into out/distro, once per machine
	go run ./hack/distro -version '$(VERSION)' -from '$(FROM)' -out out/distro

.PHONY: lab-distro
lab-distro: distro ## Compile what the nodes of a lab run, too: kubelet and kube-proxy of VERSION, containerd, CoreDNS and kwok
	go run ./hack/distro -lab -version '$(VERSION)' -out out/distro

.PHONY: build
build: ## Build bin/myriad
	go build -ldflags '-X $(MODULE)/internal/cli.version=$(REVISION)' -o bin/myriad ./cmd/myriad

.PHONY: clean
clean: ## Remove what was built here; the cache of upstream programs and running fleets stay
	rm -rf bin out

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: VERSION=%s  FROM=%s  ARGS=%s  SCALE=%s\n' '$(VERSION)' '$(FROM)' '$(ARGS)' '$(SCALE)'

# Tools, built once from the versions that their modules pin.

$(TOOLS)/gotestsum $(TOOLS)/controller-gen &: hack/tools/go.mod hack/tools/go.sum
	cd hack/tools && go build -o $(TOOLS)/ tool
	touch $(TOOLS)/gotestsum $(TOOLS)/controller-gen

$(TOOLS)/golangci-lint: hack/tools/lint/go.mod hack/tools/lint/go.sum
	cd hack/tools/lint && go build -o $(TOOLS)/ tool
	touch $@
