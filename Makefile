# What a developer of Sluice does daily. `make` alone lists it.
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: ## the whole product in one process, in about half a minute
	go run ./cmd/sluice demo

.PHONY: build
build: ## the binary, into ./bin
	CGO_ENABLED=0 go build -trimpath -o bin/sluice ./cmd/sluice

.PHONY: test
test: ## all tests
	go test ./...

.PHONY: race
race: ## all tests with the race detector
	go test -race ./...

.PHONY: lint
lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: deploycheck
deploycheck: ## the files under deploy, with the parsers of the tools that read them
	cd internal/deploycheck && go test -count=1 ./...

.PHONY: fuzz
fuzz: ## every fuzz target, some 100,000 inputs each
	.ci/fuzz 100000

.PHONY: bench
bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: ci
ci: ## what CI runs
	CI=true .ci/run

.PHONY: man
man: ## the manual pages, into ./bin/man
	go run ./cmd/sluice man bin/man
