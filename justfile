# Everything that CI checks, one by one or all at once.

bin := ".venv/bin"

# format, lint, types, contracts, tests
check: format lint types contracts test

install:
    [ -d .venv ] || python3 -m venv .venv
    {{bin}}/pip install -e '.[server,test]'

format:
    {{bin}}/ruff format .

lint:
    {{bin}}/ruff check .

types:
    {{bin}}/mypy

contracts:
    {{bin}}/lint-imports

test *ARGS:
    {{bin}}/pytest {{ARGS}}

soak:
    {{bin}}/pytest -m soak

bench *ROWS:
    {{bin}}/python -m benchmarks {{ROWS}}

# the JSON Schemas in the reference
schemas:
    {{bin}}/tocsin schema --write docs/reference/tocsin.schema.json
    {{bin}}/tocsin schema --tests --write docs/reference/tocsin-test.schema.json
