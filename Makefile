# Everything a person or CI does. `make run` and `make test` set up what they need themselves.

UV := .tools/bin/uv
RUN := $(UV) run --frozen --all-extras
export PYTHONDONTWRITEBYTECODE :=
export UV_HTTP_TIMEOUT := 300
# The system knows the certificates of a company's proxy; the bundled list does not.
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV

.PHONY: install run kafka test check bench

install: $(UV)
	$(UV) sync --quiet --frozen --all-extras

$(UV):
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

run: install  ## evolve a model before your eyes
	$(RUN) evolvent run

kafka: install  ## a real Apache Kafka at 127.0.0.1:9092, its data in .kafka/
	$(RUN) evolvent kafka start

test: install  ## the whole test suite
	$(RUN) pytest

check: install  ## lint, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

bench: install  ## every benchmark, the quick way
	for benchmark in benchmarks/[a-z]*.py; do $(RUN) python $$benchmark --quick || exit 1; done
