"""When two results agree: bit for bit where nothing may round, else within the bound.

A `Finding` is the judgement of one quantity. All NaN are one. -0.0 and +0.0 are two numbers where
an operator chooses, and one where it adds up: the sum of one product that is -0.0 has either sign,
depending on whether the order of summation begins with it or with +0.0.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from refconv import exact
from refconv.exact import Exact, Format
from torch_ext.parity.inputs import FORMATS
from torch_ext.parity.quantities import array


class Finding(NamedTuple):
    """What a comparison found: nothing wrong if `message` is empty."""

    message: str = ""
    omega: float = 0.0
    narrow: bool = False


def accumulator(dtype: torch.dtype) -> Format:
    """Return the format sums are kept in: float32 for the halves, else the dtype's own."""
    return FORMATS[dtype] if dtype == torch.float64 else exact.FLOAT32


def same_bits(a: Tensor, b: Tensor) -> Tensor:
    """Return where two tensors hold the same number, sign of zero included, or both NaN."""
    same = a == b
    if a.is_floating_point():
        same = same & (a.signbit() == b.signbit()) | a.isnan() & b.isnan()
    return same


def same_sums(a: Tensor, b: Tensor) -> Tensor:
    """Return where two tensors hold the same number; of a zero, either sign."""
    return same_bits(a + 0.0, b + 0.0)


def wrong_kind(
    got: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> str:
    """Return what is wrong with the kind of a result, if anything."""
    if not isinstance(got, Tensor):
        return f"is {type(got).__name__}, expected a tensor"
    if got.device.type != device.type:
        return f"is on {got.device}, expected on {device}"
    if tuple(got.shape) != tuple(shape):
        return f"has shape {tuple(got.shape)}, expected {tuple(shape)}"
    return "" if got.dtype == dtype else f"has dtype {got.dtype}, expected {dtype}"


def bitwise(got: Tensor, expected: Tensor) -> Finding:
    """Demand the same bits."""
    same = same_bits(got, expected)
    if same.all():
        return Finding()
    first = tuple((~same).nonzero()[0].tolist())
    return Finding(
        f"{int((~same).sum())} of {same.numel()} differ, first at {first}: "
        f"{got[first].item()!r}, expected {expected[first].item()!r}"
    )


def equal(got: Tensor, expected: Exact) -> Finding:
    """Demand y* rounded once; of a zero, either sign."""
    once = torch.from_numpy(expected.rounded(FORMATS[got.dtype])).to(got.dtype)
    return bitwise(got + 0.0, once + 0.0)


def bounded(got: Tensor, expected: Exact, may_be_narrow: bool = False) -> Finding:
    """Demand |y - y*| <= n u S + ..., sums kept in float32 for the halves (see `refconv.exact`).

    With `may_be_narrow`, sums kept in the dtype itself pass too, and are noted.
    """
    out, y = FORMATS[got.dtype], array(got)
    omegas = expected.omega(y, out)
    omega = float(omegas.max(initial=0.0))
    inside = expected.within(y, accumulator(got.dtype), out)
    if inside.all():
        return Finding(omega=omega)
    if may_be_narrow and expected.within(y, out, out).all():
        return Finding(omega=omega, narrow=True)
    at = tuple(int(i) for i in np.argwhere(~inside)[0])
    return Finding(
        f"{int((~inside).sum())} of {inside.size} beyond the bound, first at {at}: "
        f"got {float(y[at])!r}, exactly {float(expected.value[at])!r}, "
        f"error {omegas[at]:.3g} u S in a sum of {expected.terms[at]}",
        omega,
    )


def rounds_once(quantity: str, expected: Exact, out: Format) -> bool:
    """Return whether every right implementation must give y* rounded once.

    That is so where no partial sum can round, a division of the sum after it or not, and where
    there is but one term. (The gradient of an average divides before it sums.)
    """
    sums = expected if quantity == "gx" else expected.undivided
    return sums.fits(out) or bool((expected.terms <= 1).all())
