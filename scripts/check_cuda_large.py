"""Results of more than 2^31 elements: each is compared with sums of slices, which are exact."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torch_ext import functional

SIDE = 46_342  # of a square of more than 2^31 elements, and still so without its last two columns


def convolution(module: Any, x: Tensor) -> Tensor:
    """Return y[o] = x[o] + 2 x[o + 1] - x[o + 2] along the last axis."""
    y: Tensor = module.conv2d(x, torch.tensor([1.0, 2.0, -1.0], device=x.device).view(1, 1, 1, 3))
    return y


def maximum(module: Any, x: Tensor) -> Tensor:
    """Return the larger one of every two neighbours."""
    y: Tensor = module.max_pool2d(x, (1, 2), 1)
    return y


def average(module: Any, x: Tensor) -> Tensor:
    """Return the average of every two neighbours."""
    y: Tensor = module.avg_pool2d(x, (1, 2), 1)
    return y


EXPECTED: dict[Callable[[Any, Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    convolution: lambda x: (x[..., 1:-1] * 2).add_(x[..., :-2]).sub_(x[..., 2:]),
    maximum: lambda x: torch.maximum(x[..., :-1], x[..., 1:]),
    average: lambda x: (x[..., :-1] + x[..., 1:]).div_(2),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row of JSON for each operator, ours and torch's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a dry run of 300 x 300")
    options = parser.parse_args(arguments)
    torch.set_grad_enabled(False)
    side = 300 if options.small else SIDE
    x = torch.randint(-8, 9, (1, 1, side, side), device=options.device, dtype=torch.int8).float()
    wrong = 0
    for operator, expected in EXPECTED.items():
        for name, module in (("ours", functional), ("torch", F)):
            try:
                y = operator(module, x)
                right = torch.equal(y, expected(x))
                note = "right" if right else "WRONG"
                del y
            except RuntimeError as error:
                right, note = False, f"{type(error).__name__}: {error}"[:150]
            wrong += name == "ours" and not right
            print(json.dumps({"operator": operator.__name__, "by": name, "result": note}))
    print(f"{x.numel():,} elements; {wrong} of {len(EXPECTED)} of ours wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
