"""What a call of the family must find on integer-valued data: whole numbers, for any dtype.

Sums come from `refconv.exact`, which computes in integers, complex ones from its results for real
and imaginary parts; choices and copies come from Python (`by_hand`).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import exact
from support import by_hand
from support.integer_calls import Call

Array = NDArray[Any]

# sums of products: the place of both factors among the arguments, and whether the second is
# conjugated; every other sum has one operand
PRODUCTS = {
    "conv": (0, 1, False),
    "conv_grad_input": (2, 1, True),
    "conv_grad_weight": (2, 0, True),
    "conv_transpose": (0, 1, False),
    "conv_transpose_grad_input": (2, 1, True),
    "conv_transpose_grad_weight": (2, 0, True),
}


def signed(a: Array) -> Array:
    """Return the same whole numbers in a dtype that `refconv.exact` takes."""
    return a.astype({"b": np.int64, "f": np.float64}.get(a.dtype.kind, a.dtype))


def values(y: Any) -> Array:
    """Return exact results as whole Python numbers; of a root, that it is one."""
    if isinstance(y, exact.Roots):
        return whole(y.rounded(np.float64))
    return np.asarray(np.frompyfunc(lambda v: int(v) if v.denominator == 1 else v, 1, 1)(y.value))


def whole(a: Array) -> Array:
    """Return whole numbers as Python integers."""
    return np.asarray(np.frompyfunc(lambda v: int(v) if v == int(v) else math.nan, 1, 1)(a), object)


def sums(call: Call) -> list[Array]:
    """Return the real and, of complex data, the imaginary part of an exact result."""
    name, args, options = call
    operator: Callable[..., Any] = getattr(exact, name)

    def run(**parts: Array) -> Array:
        chosen = [parts.get(f"at{n}", signed(a) if isinstance(a, np.ndarray) else a)
                  for n, a in enumerate(args)]  # fmt: skip
        return values(operator(*chosen, **options))

    if not any(isinstance(a, np.ndarray) and a.dtype.kind == "c" for a in args):
        return [run()]
    if name not in PRODUCTS:
        ((n, a),) = [(n, a) for n, a in enumerate(args) if isinstance(a, np.ndarray)]
        return [run(**{f"at{n}": signed(part)}) for part in (a.real, a.imag)]
    first, second, conjugated = PRODUCTS[name]
    a, b = args[first], args[second]
    sign = -1 if conjugated else 1

    def product(u: Array, v: Array, bias: Array | None = None) -> Array:
        third = {"at2": bias} if name in ("conv", "conv_transpose") else {}
        return run(**{f"at{first}": signed(u), f"at{second}": signed(v)}, **third)  # type: ignore[arg-type]

    has_bias = name in ("conv", "conv_transpose") and len(args) > 2
    bias = [signed(part) for part in (args[2].real, args[2].imag)] if has_bias else [None, None]
    real = product(a.real, b.real, bias[0]) - sign * product(a.imag, b.imag)
    return [real, product(a.imag, b.real, bias[1]) + sign * product(a.real, b.imag)]


def choices(call: Call) -> list[Array] | None:
    """Return what a choice or a copy finds; None if the operator adds up."""
    name, args, o = call
    first = args[0]
    if name in ("max_pool", "adaptive_max_pool", "fractional_max_pool"):
        i = first.shape[2:]
        if name == "max_pool":
            inside = by_hand.pool_windows(
                i, o["kernel_size"], o["stride"], o["padding"], o["dilation"], o["ceil_mode"]
            )
        elif name == "adaptive_max_pool":
            inside = by_hand.adaptive_windows(i, o["output_size"])
        else:
            u = Fraction(float(o["random_samples"].flat[0]))
            inside = by_hand.fractional_windows(i, o["kernel_size"], o["output_size"], u)
        return list(by_hand.maxima(first, inside))
    if name.endswith("max_pool_grad"):
        shape, at, gy = args
        return [by_hand.scatter(shape, at, whole(gy), gy.ndim - 2)]
    if name == "max_pool_scatter":
        shape, at, gy, rank = args
        return [by_hand.scatter(shape, at, whole(gy), rank)]
    if name == "max_pool_select":
        x, at, rank = args
        return [by_hand.select(whole(x), at, rank)]
    if name == "max_unpool":
        x, at = args[:2]
        return [by_hand.unpool(whole(x), at, tuple(2 * i for i in x.shape[2:]))]
    if name == "max_unpool_grad":
        return [by_hand.unpool_grad(first, whole(args[1]), **o or {"strict": False})]
    return None


def found(call: Call) -> list[Array]:
    """Return what a call must find, and the indices of a maximum: object arrays of whole numbers.

    Complex results are real and imaginary part.
    """
    name, args, _ = call
    chosen = choices(call)
    if chosen is not None:
        return chosen
    if name == "pad":
        x, padding, mode, *value = args
        parts = [(x.real, [v.real for v in value])]
        parts += [(x.imag, [v.imag for v in value])] if x.dtype.kind == "c" else []
        return [by_hand.pad(whole(part), padding, mode, *fill) for part, fill in parts]
    if name == "pad_grad":
        shape, gy, padding, mode = args
        both = (gy.real, gy.imag) if gy.dtype.kind == "c" else (gy,)
        return [by_hand.pad_grad(shape, whole(part), padding, mode) for part in both]
    return sums(call)


def stored(results: list[Array], dtype: Any) -> list[Array]:
    """Return what was found as arrays of a dtype: integers wrap, of bools any."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        real, imag = (part.astype(dtype.type(0).real.dtype) for part in results)
        return [(real + 1j * imag).astype(dtype)]
    y, *indices = results
    if dtype.kind == "b":
        return [(y != 0).astype(bool), *indices]
    if dtype.kind in "iu":
        bits = 8 * dtype.itemsize
        wrapped = np.asarray(np.frompyfunc(lambda v: int(v) % 2**bits, 1, 1)(y), object)
        return [wrapped.astype(f"u{dtype.itemsize}").view(dtype), *indices]
    kept = y.astype(dtype)
    assert (kept == y).all(), "not a number of the dtype: the case is not in the exact tier"
    return [kept, *indices]
