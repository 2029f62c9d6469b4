#!/usr/bin/env bash
# The tests whose bits a processor could change, under every kernel set, instruction set and number
# of threads that this one has, one factor at a time: a table, and exit status 1 if any row fails.
#
#     bash scripts/check_processors.sh                          all rows, all tests
#     bash scripts/check_processors.sh --rows OPENBLAS          rows whose name holds a word
#     bash scripts/check_processors.sh --tests tests/refconv    other tests
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
exec python scripts/check_processors.py "$@"
