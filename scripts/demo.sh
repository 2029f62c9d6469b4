#!/usr/bin/env bash
# The main job on real input: train a CNN on handwritten digits by three engines that must agree,
# then hold every operator against PyTorch. Sets everything up by itself; pictures go to out/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
mkdir -p out
python scripts/train_digits.py --out out/digits.png
python -m torch_ext.parity --jobs "$(nproc)"
