"""`import torch_ext` says nothing, and loads no more of torch than it needs."""

import json
import subprocess
import sys

PROGRAM = """
import sys, torch
before = set(sys.modules)
import torch_ext, json
print(json.dumps(sorted(set(sys.modules) - before)))
"""
NEEDED = {"torch.utils.flop_counter", "torch.utils.module_tracker"}  # which learns our formulas


def test_an_import_is_silent_and_small() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert done.stderr == ""
    assert {name for name in loaded if name.partition(".")[0] == "torch"} <= NEEDED
    assert not {"pytest", "hypothesis", "rich", "cupy"} & set(loaded)
