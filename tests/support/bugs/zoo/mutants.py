"""Generated mutants: a right kernel that goes wrong in one way, beyond one size of one thing.

Every operator of a dozen x how it goes wrong x which size x the threshold. `MUTANTS` holds all of
them; a mutant's name says what it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from support.bugs.zoo import tampering as t
from support.bugs.zoo.tampering import Candidate
from support.bugs.zoo.wrong import first_column, last_column

Size = Callable[[Any, Any, dict[str, Any]], int]


@dataclass(frozen=True)
class Mutant:
    """A kernel that is wrong where `size` of a call is beyond `threshold`."""

    op: str
    how: str
    size: str
    threshold: int

    @property
    def name(self) -> str:
        return f"{self.how}, {self.size} > {self.threshold}"

    def make(self) -> Candidate:
        measure, beyond = SIZES[self.size], self.threshold

        def when(x: Any, w: Any, options: dict[str, Any]) -> bool:
            return measure(x, w, options) > beyond

        return HOWS[self.how](getattr(F, self.op), when)


def last_channel(y: torch.Tensor) -> torch.Tensor:
    return torch.cat((y[:, :-1], y[:, -1:] * 0), 1) if y.ndim > 1 and y.shape[1] else y


def last_image(y: torch.Tensor) -> torch.Tensor:
    return torch.cat((y[:-1], y[-1:] * 0)) if len(y) else y


def last_tap(w: torch.Tensor) -> torch.Tensor:
    return torch.cat((w[..., :-1], w[..., -1:] * 0), -1)


HOWS: dict[str, Callable[[Candidate, Any], Candidate]] = {
    "the last column of y lost": lambda f, when: t.result(f, last_column, when),
    "the first column of y lost": lambda f, when: t.result(f, first_column, when),
    "the last channel of y lost": lambda f, when: t.result(f, last_channel, when),
    "the last image of y lost": lambda f, when: t.result(f, last_image, when),
    "y a little too large": lambda f, when: t.result(f, lambda y: y * (1 + 2.0**-20), when),
    "the last column of x ignored": lambda f, when: t.operand(f, 0, last_column, when),
    "the last channel of x ignored": lambda f, when: t.operand(f, 0, last_channel, when),
    "the last tap of the weight ignored": lambda f, when: t.operand(f, 1, last_tap, when),
    "the bias ignored": lambda f, when: t.operand(f, 2, torch.zeros_like, when),
    "gx without its last column": lambda f, when: t.gradient(f, "x", last_column, when),
    "gx a little too large": lambda f, when: t.gradient(f, "x", lambda g: g * (1 + 2.0**-20), when),
    "gw without its last column": lambda f, when: t.gradient(f, "weight", last_column, when),
    "gw of the next filter": lambda f, when: t.gradient(f, "weight", lambda g: g.roll(1, 0), when),
    "gb of the next filter": lambda f, when: t.gradient(f, "bias", lambda g: g.roll(1), when),
}

SIZES: dict[str, Size] = {
    "N": lambda x, w, o: x.shape[0],
    "C": lambda x, w, o: x.shape[1],
    "C / g": lambda x, w, o: w.shape[1],
    "M": lambda x, w, o: w.shape[0],
    "groups": lambda x, w, o: o.get("groups", 1),
    "height": lambda x, w, o: x.shape[-2],
    "width": lambda x, w, o: x.shape[-1],
    "kernel height": lambda x, w, o: w.shape[2],
    "kernel width": lambda x, w, o: w.shape[-1],
    "window": lambda x, w, o: largest(o.get("kernel_size", 1)),
    "stride": lambda x, w, o: largest(o.get("stride") or 1),
    "dilation": lambda x, w, o: largest(o.get("dilation", 1)),
    "terms": lambda x, w, o: w[0].numel(),
    "outputs": lambda x, w, o: largest(o.get("output_size", 1)),
}
CONVOLUTIONS = {
    "N": (4, 16, 64, 256),
    "C / g": (4, 8, 32, 128, 300),
    "M": (8, 32, 64, 256),
    "groups": (1, 8, 32, 100),
    "height": (8, 32, 128, 400),
    "width": (8, 16, 64, 256),
    "kernel height": (3, 5, 16, 100),
    "kernel width": (3, 6, 31, 200),
    "stride": (1, 2, 3),
    "dilation": (1, 3, 7),
    "terms": (16, 128, 512),
}
MAPS = {"N": (4, 16, 64, 256), "C": (4, 8, 32, 128, 400), "width": (8, 32, 128, 400)}
MAPS |= {"height": (8, 16, 64, 256)}
OF_MAPS = (
    "the last column of y lost",
    "the last channel of y lost",
    "the last image of y lost",
    "the last column of x ignored",
    "gx without its last column",
    "gx a little too large",
)
OPERATORS: dict[str, tuple[dict[str, tuple[int, ...]], tuple[str, ...]]] = {
    "conv2d": (CONVOLUTIONS, tuple(HOWS)),
    "conv_transpose2d": (CONVOLUTIONS, tuple(HOWS)),
    "max_pool2d": (MAPS | {"window": (2, 4, 12)}, OF_MAPS),
    "avg_pool2d": (MAPS | {"window": (2, 4, 12), "stride": (1, 3)}, OF_MAPS),
    "lp_pool2d": (MAPS, OF_MAPS),
    "adaptive_avg_pool2d": (MAPS | {"outputs": (2, 16, 100)}, OF_MAPS),
    "adaptive_max_pool2d": (MAPS | {"outputs": (2, 16, 100)}, OF_MAPS),
    "max_unpool2d": (MAPS | {"window": (2, 8, 64)}, OF_MAPS),
    "unfold": (MAPS | {"dilation": (1, 3)}, OF_MAPS),
    "fold": ({"N": (4, 64, 256), "width": (16, 128)}, ("the last column of y lost", *OF_MAPS[3:])),
}


def largest(value: Any) -> int:
    return value if isinstance(value, int) else max(value)


def every() -> Iterator[Mutant]:
    for op, (sizes, hows) in OPERATORS.items():
        for how in hows:
            for size, thresholds in sizes.items():
                for threshold in thresholds:
                    if (how, size) not in HARMLESS:
                        yield Mutant(op, how, size, threshold)


HARMLESS: set[tuple[str, str]] = set()
MUTANTS = list(every())
