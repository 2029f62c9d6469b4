"""Asks torch about odd calls of every function, and prints how often, and what it cost at most.

python asked.py SEED CALLS: in a process of its own, which torch could end.
"""

import inspect
import random
import resource
import sys
import time

import torch
from torch.nn import functional as F

from support.functional_calls import call_of
from torch_ext import functional
from torch_ext.functional import _asking

EDGES = [0, 1, 2, 3, -1, -2, 7, 9, 64, 127, 1000, 10**6, 2**31 - 1, 2**31, 2**32, 2**33, 2**40]
EDGES += [2**61, 2**62, 2**63 - 1, -(2**31), -(2**62), -(2**63), 2**63, 10**30]
SIZES = [0, 1, 2, 3, 4, 8, 16]
ODD = [1.5, float("inf"), True, None, "same", "a", b"1", {}, {2}, (), [[1]], object()]


def shape(draw):
    """Draw a shape: small, or large where there is no memory in it."""
    sizes = SIZES if draw.random() < 0.9 else [*SIZES, 2**10, 2**20, 2**40]
    return [draw.choice(sizes) for _ in range(draw.choice([1, 2, 3, 3, 4, 4, 5, 5, 6]))]


def tensor(draw):
    """Draw a tensor without memory of its own."""
    dtype = draw.choice(
        [torch.float32] * 6 + [torch.float64, torch.int64, torch.bool, torch.cfloat]
    )
    try:
        return torch.zeros((), dtype=dtype).expand(shape(draw))
    except RuntimeError:  # more elements than there are numbers for
        return torch.zeros((), dtype=dtype)


def size(draw):
    """Draw an option."""
    if draw.random() < 0.1:
        return draw.choice(ODD)
    few = EDGES[:6] if draw.random() < 0.5 else EDGES
    if draw.random() < 0.5:
        return draw.choice(few)
    return tuple(draw.choice(few) for _ in range(draw.choice([1, 2, 2, 3, 3, 4])))


def call(draw, name):
    """Draw the arguments of a function: all of them odd, or one or two of a good call."""
    options, changed = call_of(name), 2
    names = list(inspect.signature(getattr(functional, name)).parameters)
    if draw.random() < 0.5:
        changed = len(names) // 2
    for each in draw.sample(names, min(changed, len(names))):
        tensors = each in ("input", "weight", "bias", "indices", "_random_samples")
        options[each] = tensor(draw) if tensors and draw.random() < 0.95 else size(draw)
    return options


def main(seed, calls):
    """Ask, and print calls, refusals, the longest time and the most memory."""
    draw, refused, longest = random.Random(seed), 0, 0.0
    large = torch.ones(1).expand(2**15, 2**15)
    _asking.error_of(F.lp_pool1d, (large, 2, 2), {})  # once: torch imports what it has no data for
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(calls):
        name = draw.choice(functional.__all__)
        options = call(draw, name)
        start = time.process_time()
        print(name, {k: getattr(v, "shape", v) for k, v in options.items()}, file=sys.stderr)
        error = _asking.error_of(getattr(F, name), (), options)
        refused += error is not None
        longest = max(longest, time.process_time() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(calls, refused, longest, grown // 1024)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
