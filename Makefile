# The front door. Everything is built under build/; nothing outside this folder is touched but the model store
# (~/.local/share/ingle or INGLE_HOME), what `make install` puts under PREFIX, and missing system packages.
MAKEFLAGS += --no-print-directory
PREFIX ?= /usr/local
BUILD := build
SECONDS_EACH ?= 300
BENCH ?= smollm2
PROMPT ?= Why is the sky blue? Answer in two sentences.
JOBS := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
NINJA := $(shell command -v ninja 2>/dev/null)
# A configured folder keeps the generator it has.
GENERATOR = $(if $(wildcard $(1)/CMakeCache.txt),,$(if $(NINJA),-G Ninja,))
EXTRA := $(if $(CI),-DINGLE_WERROR=ON,) $(CMAKE_FLAGS)

.PHONY: all build demo test bench fuzz install help clean model check

all: build

build: ## build the library and the ingle command into build/
	@sh tools/setup.sh build
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) $(call GENERATOR,$(BUILD)) -DCMAKE_BUILD_TYPE=Release $(EXTRA) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS)

model: ## fetch the default model (SmolLM2 135M, once) into the model store
	@sh tools/setup.sh demo
	@python3 tools/get_model.py

demo: ## build, fetch a small model and stream an answer
	@sh tools/setup.sh demo
	@$(MAKE) build
	@python3 tools/get_model.py
	@echo
	@echo '$$ ingle run smollm2 --chat --temp 0 "$(PROMPT)"'
	@$(BUILD)/ingle run smollm2 --chat --temp 0 "$(PROMPT)"

test: ## run all tests; ends with "N passed, M failed"
	@sh tools/setup.sh test
	@python3 tools/test.py

check: ## import rule and unit tests only (seconds)
	@python3 tools/rooms.py
	@python3 tools/quant_names.py
	@python3 tools/test.py unit

bench: ## compare speed with llama.cpp (BENCH='smollm2' or '--synth Q4_K_M' ...)
	@sh tools/setup.sh bench
	@$(MAKE) build
	@python3 tools/get_model.py
	@"$$(python3 tools/venv_here.py tests/requirements.txt)" bench/compare.py $(BENCH)

fuzz: ## fuzz each target for SECONDS_EACH=300 seconds (needs clang)
	@sh tools/setup.sh fuzz
	@sh tools/fuzz.sh $(SECONDS_EACH)

install: build ## install under PREFIX=/usr/local
	@cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --install $(BUILD)

help: ## this text
	@echo "make TARGET:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

clean: ## remove build/ (the model store stays)
	rm -rf $(BUILD)
