# Two commands for a fresh machine: `make demo` and `make test`. The rest is for work on the project.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMP := $(VENV)/.installed
SPARK_STAMP := $(VENV)/.installed-spark
FUZZING_STAMP := $(VENV)/.installed-fuzzing
FUZZED := alumni_assets_tests/fuzzing
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed
CLOUD := .venv-cloud
CLOUD_STAMP := $(CLOUD)/.installed
LINTERS := .venv-template-linters
LINTERS_STAMP := $(LINTERS)/.installed
AUDIT := .venv-audit
AUDIT_STAMP := $(AUDIT)/.installed
PACKAGE := dist/aws
GLUE := dist/glue
GLUE_PACKAGE := $(GLUE)/alumni_assets.gluewheels.zip
BENCH ?=
SECONDS ?= 60

.PHONY: demo test long torture fast fuzz fuzz-corpus spark glue-package glue-upload cloud bench lint lint-templates package format lock docs licences audit clean

demo: $(STAMP)  ## Sample uploads, and Dagster with its sensors on
	@$(BIN)/python -m alumni_assets.demo

test: $(STAMP)  ## The tests
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long and not torture" --durations 60

long: $(STAMP)  ## Those that do the same with more: more rows, more orders, more readers
	$(BIN)/python -m pytest -m long

torture: $(STAMP)  ## Hundreds of kills, and a fault at each write: takes hours
	$(BIN)/python -m pytest -n 2 --dist load -m torture -rP alumni_assets_tests/torture

fast: $(STAMP)  ## The tests that need no server, no browser and no minute
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not server and not browser and not slow and not long and not torture"

fuzz: $(STAMP) $(FUZZING_STAMP)  ## Look for uploads that break reading or judging: make fuzz SECONDS=3600
	mkdir -p .fuzzing/found
	$(BIN)/python -m $(subst /,.,$(FUZZED)) -max_total_time=$(SECONDS) .fuzzing/found $(FUZZED)/corpus

# What was found reaches more than what it began with; the fewest and smallest that reach as much are kept (not as
# often: that would be three times as many).
fuzz-corpus: $(STAMP) $(FUZZING_STAMP)  ## Make the corpus anew, of the hostile uploads and of what was found
	rm -rf .fuzzing/seeds .fuzzing/corpus
	mkdir -p .fuzzing/corpus .fuzzing/found
	$(BIN)/python -m $(subst /,.,$(FUZZED)).seeds .fuzzing/seeds
	$(BIN)/python -m $(subst /,.,$(FUZZED)) -merge=1 -use_counters=0 .fuzzing/corpus .fuzzing/seeds $(FUZZED)/corpus .fuzzing/found
	rm -rf $(FUZZED)/corpus
	mv .fuzzing/corpus $(FUZZED)/corpus

spark: $(STAMP) $(SPARK_STAMP)  ## Install Spark too, for ALUMNI_ENGINE=spark and its tests (needs Java 17)

# Wheels for Python 3.11 on the Linux that Glue 5.1 runs on, ours among them, in the form that Glue installs from.
# `build` goes first: setuptools would take modules from it that are no more.
glue-package: $(STAMP)  ## What the Spark job on AWS Glue needs, as one file
	rm -rf build $(GLUE)
	$(BIN)/pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
	  --python-version 3.11 --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
	  --dest $(GLUE)/wheels --requirement requirements-glue.lock
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(GLUE)/wheels .
	cd $(GLUE)/wheels && ls | sed -E 's/^([^-]+)-([^-]+)-.*/\1==\2/' > ../requirements.txt && mv ../requirements.txt .
	cd $(GLUE) && $(BIN)/python -m zipfile --create $(notdir $(GLUE_PACKAGE)) wheels/

glue-upload: $(STAMP)  ## Put that file, and the script of the job, into the bucket of ALUMNI_LAKE
	$(BIN)/python -m alumni_assets.spark.upload $(GLUE_PACKAGE)

cloud: $(CLOUD_STAMP)  ## Install an AWS account and a second S3 server, for the tests of deploy/ and of the lake

bench: $(STAMP) $(PEERS_STAMP)  ## Measure, beside other tools: make bench BENCH="--rows 10000000", BENCH="merge", BENCH=--help
	$(BIN)/python -m benchmarks $(BENCH)

lint: $(STAMP)  ## Formatting, linter, types, Dagster's own check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/dg check defs

lint-templates: $(LINTERS_STAMP)  ## The CloudFormation templates, the policies in them, and the Dockerfile
	$(LINTERS)/bin/cfn-lint deploy/aws/*.yaml
	$(LINTERS)/bin/python -W ignore::UserWarning:parliament -m deploy.policies deploy/aws/*.yaml
	$(LINTERS)/bin/checkov --config-file deploy/checkov.yaml
	$(LINTERS)/bin/hadolint deploy/aws/Dockerfile

# `build` goes first: setuptools would take modules from it that are no more.
package: $(STAMP) lint-templates  ## What an AWS account needs, in dist/aws: the templates, and what the image is made of
	rm -rf build $(PACKAGE)
	mkdir -p $(PACKAGE)/templates $(PACKAGE)/image
	cp deploy/aws/*.yaml $(PACKAGE)/templates
	cp deploy/aws/Dockerfile deploy/dagster.yaml $(PACKAGE)/image
	cp requirements-image.lock $(PACKAGE)/image/requirements.lock
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(PACKAGE)/image .

format: $(STAMP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)  ## Write docs/contract.md anew from the contract
	$(BIN)/python -m alumni_assets.contract_page docs/contract.md

licences: $(STAMP) $(SPARK_STAMP) $(FUZZING_STAMP) $(CLOUD_STAMP) $(LINTERS_STAMP) $(AUDIT_STAMP)  ## Write docs/licences.md anew from what is installed
	$(BIN)/python -m deploy.licences docs/licences.md $(VENV) $(CLOUD) $(LINTERS) $(AUDIT)

audit: $(STAMP) $(AUDIT_STAMP)  ## Ask the package index for known vulnerabilities of all that is locked; fails where it has no answer
	$(BIN)/python -m deploy.audit $(AUDIT)/bin/pip-audit

lock:  ## Lock the newest versions that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-strip-extras --upgrade --quiet \
	  --custom-compile-command "make lock" --output-file requirements.lock
	python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"])' \
	| uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --upgrade \
	  --quiet --custom-compile-command "make lock" --output-file requirements-spark.lock
	python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzzing"], sep="\n")' \
	| uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --upgrade \
	  --quiet --custom-compile-command "make lock" --output-file requirements-fuzzing.lock
	uv pip compile pyproject.toml --extra athena --extra services --extra sheets --constraint requirements.lock \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --quiet \
	  --custom-compile-command "make lock" --output-file requirements-image.lock
	uv pip compile --group glue --constraint requirements.lock --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-annotate --quiet \
	  --custom-compile-command "make lock" --output-file requirements-glue.lock
	for group in audit cloud template-linters; do \
	  uv pip compile --group $$group --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade --quiet --custom-compile-command "make lock" --output-file requirements-$$group.lock; done

clean:  ## Remove the environments and the demonstration's state
	rm -rf $(VENV) $(PEERS) $(CLOUD) $(LINTERS) $(AUDIT) .demo .fuzzing

# The stamp names what was installed, so that a changed lock file installs anew.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=python3.12 ..."; exit 1; }
	@echo 'Installing the locked dependencies into $(VENV); that takes a minute, once.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(SPARK_STAMP): requirements-spark.lock $(STAMP)
	@echo 'Installing Spark into $(VENV); that takes a minute, once.'
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

$(FUZZING_STAMP): requirements-fuzzing.lock $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzzing.lock
	@touch $@

# The tools that `make bench` measures beside ours are no dependencies of the product.
$(PEERS_STAMP): benchmarks/peers/requirements.txt
	@echo 'Installing what ours is measured beside into $(PEERS); that takes a minute, once.'
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@touch $@

# The servers that stand for AWS on this machine, the templates' linters, pip-audit: see the groups in pyproject.toml.
$(AUDIT_STAMP): requirements-audit.lock
$(CLOUD_STAMP): requirements-cloud.lock
$(LINTERS_STAMP): requirements-template-linters.lock
$(AUDIT_STAMP) $(CLOUD_STAMP) $(LINTERS_STAMP):
	@echo 'Installing $< into $(@D); that takes a minute, once.'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
