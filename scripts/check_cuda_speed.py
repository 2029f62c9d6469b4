"""Time the reference on a device against torch: ResNet-50's convolutions, pools, tile sizes.

Times are of events on the device, the median of several calls after others that warm up; TF32 is
off. Backward is one call of autograd for all gradients. A ratio is ours / torch's.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from bench_cases import RESNET50, Layer
from torch import Tensor
from torch.nn import functional as F

from refconv.engine import tiles
from torch_ext import functional

POOLS: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {
    "max_pool2d": ((64, 112, 112), (3, 2, 1)),
    "avg_pool2d": ((128, 56, 56), (2, 2)),
    "adaptive_avg_pool2d": ((2048, 7, 7), (1,)),
}
SWEPT = (16, 64, 128, 256, 512, 1024)
BATCHES = (32, 128)
LAYERS = (0, 2, 6, 13, 16, 21)  # the rows of ResNet-50 that tile sizes are swept on


class Timer:
    """Milliseconds of a call, and the bytes it holds beyond those held before."""

    def __init__(self, device: torch.device, calls: int) -> None:
        self.device, self.calls = device, calls

    def __call__(self, call: Callable[[], Any]) -> tuple[float, int]:
        """Return the median of some calls after two that warm up, and the peak of memory."""
        call(), call()
        if self.device.type == "cpu":
            return statistics.median(self.on_host(call) for _ in range(self.calls)), 0
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        times = [self.on_device(call) for _ in range(self.calls)]
        return statistics.median(times), torch.cuda.max_memory_allocated() - before

    @staticmethod
    def on_host(call: Callable[[], Any]) -> float:
        start = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - start)

    @staticmethod
    def on_device(call: Callable[[], Any]) -> float:
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record(torch.cuda.current_stream())
        call()
        end.record(torch.cuda.current_stream())
        end.synchronize()
        return float(start.elapsed_time(end))


def both_ways(call: Callable[..., Tensor], tensors: Sequence[Tensor]) -> dict[str, Any]:
    """Return calls of an operator forward and backward."""
    y = call(*tensors)
    gy = torch.randn_like(y)

    def forward() -> Tensor:
        with torch.no_grad():
            return call(*tensors)

    return {
        "forward": forward,
        "backward": lambda: torch.autograd.grad(y, tensors, gy, retain_graph=True),
    }


def layer_calls(layer: Layer, batch: int, like: Tensor) -> dict[str, dict[str, Any]]:
    """Return the calls of a convolution, by whose they are and then by direction."""
    x = torch.randn(batch, layer.c, layer.i[0], layer.i[0]).to(like).requires_grad_()
    w = torch.randn(layer.m, layer.c, layer.k, layer.k).to(like).requires_grad_()
    options = layer.s, layer.p
    return {
        name: both_ways(lambda x, w, m=module: m.conv2d(x, w, None, *options), (x, w))
        for name, module in (("ours", functional), ("torch", F))
    }


def pool_calls(name: str, batch: int, like: Tensor) -> dict[str, dict[str, Any]]:
    """Return the calls of a pool, by whose they are and then by direction."""
    shape, arguments = POOLS[name]
    x = torch.randn(batch, *shape).to(like).requires_grad_()
    return {
        who: both_ways(lambda x, m=module: getattr(m, name)(x, *arguments), (x,))
        for who, module in (("ours", functional), ("torch", F))
    }


def compare(what: str, dtype: str, calls: dict[str, dict[str, Any]], timer: Timer) -> list[Any]:
    """Time both, print a row of JSON for each direction, and return the rows."""
    rows = []
    for way in ("forward", "backward"):
        ours, memory = timer(calls["ours"][way])
        theirs, least = timer(calls["torch"][way])
        row = {"what": what, "dtype": dtype, "way": way, "ours": ours, "torch": theirs}
        row |= {"ratio": ours / theirs, "MiB": memory / 2**20, "torch MiB": least / 2**20}
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def sweep(batch: int, like: Tensor, timer: Timer) -> None:
    """Print the milliseconds of some layers, forward and backward, by DEVICE_TIMES."""
    usual = tiles.DEVICE_TIMES
    for number in LAYERS:
        calls = layer_calls(RESNET50[number], batch, like)["ours"]
        row: dict[str, Any] = {"swept": str(RESNET50[number])}
        for times in SWEPT:
            tiles.DEVICE_TIMES = times
            found = [timer(call) for call in calls.values()]
            row[str(times)] = sum(time for time, _ in found)
            row[f"{times}: MiB"] = max(memory for _, memory in found) / 2**20
        print(json.dumps(row), flush=True)
    tiles.DEVICE_TIMES = usual


def main(arguments: Sequence[str] | None = None) -> int:
    """Print rows of JSON, and the geometric means and the worst."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", type=torch.device)
    parser.add_argument("--small", action="store_true", help="a dry run: two layers, one image")
    options = parser.parse_args(arguments)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    batches, layers = ((1,), RESNET50[1:3]) if options.small else (BATCHES, RESNET50)
    timer = Timer(options.device, 3 if options.small else 7)
    summary = []
    for batch, dtype in itertools.product(batches, (torch.float32, torch.float64)):
        name = str(dtype).removeprefix("torch.")
        like = torch.empty(0, dtype=dtype, device=options.device)
        rows = [
            row for layer in layers
            for row in compare(f"{batch} x {layer}", name, layer_calls(layer, batch, like), timer)
        ]  # fmt: skip
        for pool in POOLS:
            compare(f"{batch} x {pool}", name, pool_calls(pool, batch, like), timer)
        for way in ("forward", "backward"):
            ratios = [row["ratio"] for row in rows if row["way"] == way]
            mean = statistics.geometric_mean(ratios)
            summary.append(f"{name} {way}, batch {batch} {mean:.2f} (worst {max(ratios):.2f})")
    if not options.small:
        sweep(BATCHES[0], torch.empty(0, device=options.device), timer)
    print("ours / torch, geometric mean: " + ", ".join(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
