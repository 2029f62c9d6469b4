"""Sound kernels: every operator by gathered windows, and convolutions by other algorithms."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from support.bugs import candidates
from support.bugs.zoo.pools import adaptive, avg_pool, fractional, lp_pool, max_pool, max_unpool
from support.bugs.zoo.windows import Candidate, conv, conv_tbc, conv_transpose, fold, unfold

RANKS = (1, 2, 3)
MAKE: dict[str, Callable[..., Candidate]] = {
    **{f"conv{r}d": partial(conv, r) for r in RANKS},
    **{f"conv_transpose{r}d": partial(conv_transpose, r) for r in RANKS},
    "conv_tbc": conv_tbc,
    "unfold": unfold,
    "fold": fold,
    **{f"max_pool{r}d": partial(max_pool, r) for r in RANKS},
    **{f"max_unpool{r}d": partial(max_unpool, r) for r in RANKS},
    **{f"avg_pool{r}d": partial(avg_pool, r) for r in RANKS},
    **{f"lp_pool{r}d": partial(lp_pool, r) for r in RANKS},
    **{f"adaptive_avg_pool{r}d": partial(adaptive, r, True) for r in RANKS},
    **{f"adaptive_max_pool{r}d": partial(adaptive, r, False) for r in RANKS},
    **{f"fractional_max_pool{r}d": partial(fractional, r) for r in (2, 3)},
}


def in_float64(function: Candidate) -> Candidate:
    """Compute in float64 and round once: more accurate than any float32 kernel."""

    def candidate(*args, **options):
        wide = [a.double().contiguous() if isinstance(a, torch.Tensor) else a for a in args]
        return function(*wide, **options).to(args[0].dtype)

    return candidate


def by_dense_groups(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Write groups as one block-diagonal weight."""
    if x.shape[-3] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise RuntimeError("channels do not fit")
    taps = [torch.block_diag(*tap.chunk(groups)) for tap in weight.flatten(2).unbind(2)]
    dense = torch.stack(taps, -1).view(weight.shape[0], -1, *weight.shape[2:])
    return F.conv2d(x, dense, bias, stride, padding, dilation)


def one_image_at_a_time(x, weight, bias=None, *args, **options):
    """Loop over the batch, with what is left of it at the end."""
    if x.ndim == 3 or len(x) == 0:
        return F.conv2d(x, weight, bias, *args, **options)
    if len(x) > 1000:
        return F.conv2d(x.contiguous(), weight, bias, *args, **options)
    return torch.cat([F.conv2d(image[None], weight, bias, *args, **options) for image in x])


SOUND: list[tuple[str, str, Candidate]] = [
    *((op, "gathered windows", make()) for op, make in MAKE.items()),
    *(
        (f"{family}{rank}d", "tap by tap", make("", rank))
        for family, make in candidates.MAKE.items()
        for rank in (1, 2)
    ),
    ("conv1d", "in float64", in_float64(F.conv1d)),
    ("conv2d", "in float64", in_float64(F.conv2d)),
    ("conv2d", "groups as one dense weight", by_dense_groups),
    ("conv2d", "one image at a time", one_image_at_a_time),
]
