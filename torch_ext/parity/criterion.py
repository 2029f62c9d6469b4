"""When two results agree: bit for bit where nothing may round, else within the bound.

A `Finding` is the judgement of one quantity. All NaN are one. -0.0 and +0.0 are two numbers where
an operator chooses, and one where it adds up: the sum of one product that is -0.0 has either sign,
depending on whether the order of summation begins with it or with +0.0.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from refconv import exact
from refconv.exact import Exact, Format, Roots
from torch_ext.parity.catalogue import Operator
from torch_ext.parity.inputs import FORMATS


class Finding(NamedTuple):
    """What a comparison found: nothing wrong if `message` is empty."""

    message: str = ""
    omega: float = 0.0
    narrow: bool = False


def accumulator(dtype: torch.dtype) -> Format:
    """Return the format sums are kept in: float32 for the halves, else the dtype's own."""
    return exact.FLOAT32 if dtype.itemsize == 2 else FORMATS[dtype]


def same_bits(a: Tensor, b: Tensor) -> Tensor:
    """Return where two tensors hold the same number, sign of zero included, or both NaN."""
    if a.is_complex():
        return same_bits(torch.view_as_real(a), torch.view_as_real(b)).all(-1)
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


def array(tensor: Tensor) -> Any:
    """Return a tensor's numbers as an array; bfloat16 in float32, which holds them all."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def nonzero(expected: Any) -> tuple[int, int]:
    """Return how many elements an expected result has, and how many of them are not zero."""
    if isinstance(expected, Roots):
        return expected.terms.size, sum(bool(terms) for terms in expected.terms.ravel())
    if isinstance(expected, Exact):
        return expected.numerators.size, int(np.count_nonzero(expected.numerators))
    values = array(expected) if isinstance(expected, Tensor) else expected
    return values.size, int(np.count_nonzero(values))


def shape_of(expected: Any) -> tuple[int, ...]:
    """Return the shape of an expected result."""
    return tuple(expected.shape)


def once(expected: Any, dtype: torch.dtype) -> Tensor:
    """Return y* rounded once to the dtype."""
    if isinstance(expected, Tensor):
        return expected if expected.dtype == torch.int64 else expected.to(dtype)
    if isinstance(expected, Exact | Roots):
        return torch.from_numpy(expected.rounded(FORMATS[dtype])).to(dtype)
    return torch.from_numpy(np.ascontiguousarray(expected)).to(dtype)


def judge(
    op: Operator, quantity: str, got: Tensor, expected: Any, dtype: torch.dtype, tier: str
) -> Finding:
    """Hold one quantity against what is due: bits, or the bound."""
    if demands_bits(quantity, expected, dtype, tier):
        due = once(expected, dtype)
        chosen = isinstance(expected, Tensor)
        return bitwise(got, due) if chosen else bitwise(got + 0.0, due + 0.0)
    if quantity == "gy(all)" and dtype.itemsize == 2:
        # Three results, each rounded before they are added: gy(gx) and gy(gw) are judged alone.
        return Finding()
    if isinstance(expected, Roots):
        near = expected.within(array(got), accumulator(dtype), FORMATS[dtype])
        return Finding() if near.all() else Finding(f"{int((~near).sum())} beyond the bound")
    expected = dataclasses.replace(expected, terms=expected.terms + op.roundings)
    return bounded(got, expected, op.narrow(quantity))


def flushed(got: Tensor, expected: Any, dtype: torch.dtype) -> bool:
    """Return whether a result is right but for bfloat16's subnormal numbers, which are zero.

    The dot products of bfloat16 that processors have (AVX-512, AMX) flush them, by definition.
    """
    if dtype != torch.bfloat16:
        return False
    due = once(expected, dtype)
    normal = torch.where(due.abs() < torch.finfo(dtype).tiny, torch.zeros_like(due), due)
    return bool(same_sums(got, normal).all())


def demands_bits(quantity: str, expected: Any, dtype: torch.dtype, tier: str) -> bool:
    """Return whether every right implementation gives the same bits."""
    if isinstance(expected, Roots):
        return False
    if not isinstance(expected, Exact):
        return True
    return tier != "bounded" and rounds_once(quantity, expected, FORMATS[dtype])


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
