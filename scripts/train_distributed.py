"""Train one convolutional network on several processes, native and swapped, and compare each bit.

    torchrun --standalone --nproc-per-node 2 scripts/train_distributed.py [--ddp] [--fsdp]

DistributedDataParallel and FSDP (fully_shard) on the CPU, with gloo; without an option, both. Every
process sees its own half of the images. After each step three trainings must have the same
parameters, bit for bit:

    alone      torch.nn in one process, on all images
    native     torch.nn, distributed
    swapped    the same network after torch_ext.swap, distributed

Nothing may round, so that no order of summation matters: images and first weights are small
integers, pools average four numbers, the step is a power of two, and so is the number of processes
by which gradients are averaged. The loss is a hinge, sum max(0, 1 - t y) with t = 1 or -1, and its
gradient -t or 0. The table shows how many bits the numbers take of the 53 that float64 has.

Exit status 1 if any bit differs, or if a gradient is zero, which would prove nothing.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import torch_ext

STEPS = 4
RATE = 2.0**-4
IMAGES = 8  # in all; a power of two, like the number of processes
CLASSES = 3
REFERENCE_LAYERS = 4  # of the network: two convolutions, two pools

Wrap = Callable[[nn.Module], nn.Module]


def network() -> nn.Sequential:
    """x (N, 2, 10, 10) -> scores (N, CLASSES, 1, 1); the same integers at every call."""
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, CLASSES, 3),
        nn.AvgPool2d(2),
    ).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    return model


def data() -> tuple[Tensor, Tensor]:
    """Return images of small integers, and 1 for the class of each, -1 for the others."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(-2, 3, (IMAGES, 2, 10, 10), generator=generator).double()
    labels = torch.randint(CLASSES, (IMAGES,), generator=generator)
    return images, 2 * nn.functional.one_hot(labels, CLASSES).double() - 1


def whole(tensor: Tensor) -> Tensor:
    """Return a copy of a parameter or gradient, put together from the processes' shards."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().clone()


def train(model: nn.Module, images: Tensor, targets: Tensor) -> Iterator[dict[str, Tensor]]:
    """Descend; after each step give every parameter, and every gradient that led to it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        scores = model(images).flatten(1)  # (n, CLASSES)
        hinges = (1 - targets * scores).clamp(min=0)
        (hinges.sum() / len(images)).backward()
        optimizer.step()
        found = {}
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                raise RuntimeError(f"{name} has no gradient")
            short = name.removeprefix("module.")  # which DistributedDataParallel adds
            found[short] = whole(parameter)
            found[f"gradient of {short}"] = whole(parameter.grad)
        yield found


def bits(tensor: Tensor) -> int:
    """Return how many bits lie between the largest number's first and the smallest unit's last."""
    numbers: list[float] = tensor[tensor != 0].tolist()
    ratios = [number.as_integer_ratio() for number in numbers]  # denominators: powers of two
    finest = max((denominator for _, denominator in ratios), default=1)
    integers = [abs(numerator) * (finest // denominator) for numerator, denominator in ratios]
    common = math.gcd(*integers)
    return (max(integers) // (common & -common)).bit_length() if integers else 0


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors that differ in a bit; of a sum that is zero, either sign."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def compare(title: str, wrap: Wrap, console: Console) -> bool:
    """Train all three side by side; print a row for each step; return whether all bits agree."""
    rank, processes = dist.get_rank(), dist.get_world_size()
    images, targets = data()
    mine = images[rank::processes], targets[rank::processes]

    native, swapped = network(), network()
    report = torch_ext.swap(swapped)
    if len(report.changed) != REFERENCE_LAYERS:
        raise RuntimeError(f"{REFERENCE_LAYERS} layers should have been swapped\n{report}")
    trainings = zip(
        train(network(), images, targets),
        train(wrap(native), *mine),
        train(wrap(swapped), *mine),
        strict=True,
    )

    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("step", "largest gradient", "bits", "native = alone", "swapped = native"):
        table.add_column(header, justify="right")
    agreed, notes = True, []
    for step, (alone, plain, ours) in enumerate(trainings, 1):
        gradients = {name: g for name, g in plain.items() if name.startswith("gradient")}
        wrong = [differing(plain, alone), differing(ours, plain)]
        zero = [name for name, gradient in gradients.items() if not gradient.any()]
        total = len(plain)
        table.add_row(
            str(step),
            f"{max(float(g.abs().max()) for g in gradients.values()):.3f}",
            str(max(bits(tensor) for tensor in plain.values())),
            *(f"{total - len(names)} of {total} tensors" for names in wrong),
        )
        notes += [f"step {step}: {name} differs" for name in wrong[0] + wrong[1]]
        notes += [f"step {step}: {name} is zero" for name in zero]
        agreed &= not (wrong[0] or wrong[1] or zero)

    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    return agreed_by_all(agreed)


def agreed_by_all(agreed: bool) -> bool:
    """Return whether every process agrees."""
    votes = torch.tensor(int(agreed))
    dist.all_reduce(votes, dist.ReduceOp.MIN)
    return bool(votes)


def shard(model: nn.Module) -> nn.Module:
    """Shard the parameters of each convolution, and what is left, over the processes."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in list(model.modules()):
        if isinstance(layer, nn.Conv2d):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ddp", action="store_true", help="DistributedDataParallel only")
    parser.add_argument("--fsdp", action="store_true", help="fully_shard only")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    dist.init_process_group("gloo")
    processes = dist.get_world_size()
    if IMAGES % processes:
        raise ValueError(f"{IMAGES} images cannot be shared out equally to {processes} processes")
    console = Console(quiet=dist.get_rank() != 0)
    wraps: dict[str, Wrap] = {"DistributedDataParallel": DistributedDataParallel, "FSDP": shard}
    if options.ddp != options.fsdp:
        del wraps["FSDP" if options.ddp else "DistributedDataParallel"]
    verdicts = []
    for name, wrap in wraps.items():
        title = f"{name}, {processes} processes, torch {torch.__version__}"
        verdicts.append(compare(title, wrap, console))
        console.print("[bold green]PASS[/]" if verdicts[-1] else "[bold red]FAIL[/]", name)
    dist.destroy_process_group()
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # at once: threads of torch's FSDP that outlive Python abort it now and then
