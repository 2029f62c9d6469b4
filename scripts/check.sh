#!/usr/bin/env bash
# Format, lint, types and tests; sets everything up by itself. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
ruff format --check .
ruff check .
mypy
python -m pytest -n auto "$@"
