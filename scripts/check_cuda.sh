#!/usr/bin/env bash
# Everything that only a GPU can show: tests, the oracle, large results, speed. Needs no network and
# no installation, only a Python with torch, NumPy, pytest, hypothesis, rich and, for all but the way
# through the host, CuPy. Takes 20 minutes on 16 cores, 16 of them
# the oracle's (--only STAGE and --seconds N cut it short); results are in $OUT, else in out/.
#
#     bash scripts/check_cuda.sh                    on a GPU
#     bash scripts/check_cuda.sh --device cpu       a dry run: a double of CuPy, small sizes
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" scripts/check_cuda.py --out "${OUT:-out}" "$@"
