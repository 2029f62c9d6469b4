"""torch's own operator database: its entries for this family, their samples, and exact results.

The samples hold finite numbers only, so every sum of them has an exact result and a bound.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from refconv import exact
from refconv.exact import Exact, Format

Array = NDArray[Any]
Arguments = dict[str, Any]
Parts = list[Exact]  # a real result, or the real and the imaginary part of a complex one

# kind of operator -> the names of its arguments, beside the input
SIGNATURES = {
    "conv": ("weight", "bias", "stride", "padding", "dilation", "groups"),
    "conv_transpose": (
        *("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    "avg_pool": (
        *("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
        "divisor_override",
    ),
    "max_pool": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "max_unpool": ("indices", "kernel_size", "stride", "padding", "output_size"),
    "adaptive_avg_pool": ("output_size",),
    "adaptive_max_pool": ("output_size", "return_indices"),
    "fractional_max_pool": (
        *("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples"),
    ),
    "pad": ("padding", "mode", "value"),
    "constant_pad_nd": ("padding", "value"),
    "unfold": ("kernel_size", "dilation", "padding", "stride"),
}
SUMS = ("conv", "conv_transpose", "avg_pool", "adaptive_avg_pool")  # the rest choose
FAMILY = ("conv", "pool", "fold")
EXCLUDED = {
    "unfold": "Tensor.unfold: a view, no operator of this family",
    "unfold_copy": "Tensor.unfold: a view, no operator of this family",
    "max_pool2d_with_indices_backward": "a gradient: that of max_pool2d, whose samples it has",
}
FORMATS = {
    torch.float16: exact.FLOAT16,
    torch.bfloat16: exact.BFLOAT16,
    torch.float32: exact.FLOAT32,
    torch.float64: exact.FLOAT64,
}


def database(family: tuple[str, ...] = FAMILY) -> Iterator[Any]:
    """Yield the entries of the database that have any of these words in their name."""
    methods = importlib.import_module("torch.testing._internal.common_methods_invocations")
    for op in methods.op_db:
        if any(word in op.name for word in family):
            yield op


def entries(family: tuple[str, ...] = FAMILY) -> list[Any]:
    """Return the entries that are not excluded."""
    return [op for op in database(family) if op.name not in EXCLUDED]


def title(op: Any) -> str:
    """Return the name of an entry, and of its variant."""
    return f"{op.name} {op.variant_test_name}".strip().removeprefix("nn.functional.")


def samples(op: Any, dtype: torch.dtype) -> list[Any]:
    """Return the samples of an entry, drawn anew from one seed.

    (`op.sample_inputs` gives the same samples with a stack trace for each, at ten times the time.)
    """
    torch.manual_seed(0)
    return list(op.sample_inputs_func(op, "cpu", dtype, False))


def kind_and_rank(name: str) -> tuple[str, int | None]:
    """Split nn.functional.avg_pool2d into avg_pool and 2."""
    short = name.removeprefix("nn.functional.")
    if short[-1] == "d" and short[-2].isdigit():
        return short[:-2], int(short[-2])
    return short, 2 if short == "unfold" else None


def named(op: Any, sample: Any) -> Arguments:
    """Return the arguments of a sample by name, the input among them as x."""
    kind, _ = kind_and_rank(op.name)
    arguments = dict(zip(SIGNATURES[kind], sample.args, strict=False))
    return {"x": sample.input, **arguments, **sample.kwargs}


def array(tensor: torch.Tensor) -> Array:
    """Return a tensor's numbers; those of bfloat16 in float32, which holds them all."""
    tensor = tensor.detach().resolve_conj()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def for_refconv(op: Any, arguments: Arguments) -> tuple[str, Arguments]:
    """Return the name of our operator and its arguments: arrays, a window size for every axis."""
    kind, rank = kind_and_rank(op.name)
    found = {
        name: array(value) if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    for name in ("kernel_size", "output_size"):
        if rank is not None and isinstance(found.get(name), int):
            found[name] = (found[name],) * rank  # an integer would leave the rank to guess
        elif rank is not None and name in found and found[name] is not None:
            sizes = tuple(found[name])
            found[name] = sizes * rank if name == "kernel_size" and len(sizes) == 1 else sizes
    if "_random_samples" in found:
        found["random_samples"] = found.pop("_random_samples")
    return "pad" if kind == "constant_pad_nd" else kind, found


# --------------------------------------------------------------------------- exact results


def product(bilinear: Callable[..., Exact], a: Array, b: Array, bias: Array | None = None) -> Parts:
    """Return bilinear(a, b, bias), complex numbers by its results for their parts.

    (a + i a') (b + i b') = a b + (-a') b'  +  i (a b' + a' b)
    """
    if a.dtype.kind != "c":
        return [bilinear(a, b, bias)]
    real, imag = (None, None) if bias is None else (bias.real, bias.imag)
    return [
        bilinear(a.real, b.real, real) + bilinear(-a.imag, b.imag, None),
        bilinear(a.real, b.imag, imag) + bilinear(a.imag, b.real, None),
    ]


def value(kind: str, arguments: Arguments) -> Parts:
    """Return what an operator that adds up must give."""
    if kind == "avg_pool":
        return [exact.avg_pool(**arguments)]
    if kind == "adaptive_avg_pool":
        return [divided_in_turn(exact.adaptive_avg_pool(**arguments), arguments)]
    options = dict(arguments)
    x, w, bias = (options.pop(name, None) for name in ("x", "weight", "bias"))
    conv: Callable[..., Exact] = {"conv": exact.conv, "conv_transpose": exact.conv_transpose}[kind]
    return product(lambda a, b, c: conv(a, b, c, **options), x, w, bias)


def divided_in_turn(sums: Exact, arguments: Arguments) -> Exact:
    """Return averages with a rounding more for every axis.

    An adaptive average is divided by the size of its window along one axis after the other, as
    torch's: n - 1 additions and as many divisions as there are axes.
    """
    return replace(sums, terms=sums.terms + len(arguments["output_size"]))


def gradients(kind: str, arguments: Arguments, gy: Array) -> dict[str, Parts]:
    """Return the gradients of an operator that adds up, by its tensors' names.

    Those of a complex operator are conjugate to its derivative, as torch has them.
    """
    options = dict(arguments)
    x, w, bias = (options.pop(name, None) for name in ("x", "weight", "bias"))
    if kind == "avg_pool":
        return {"x": [exact.avg_pool_grad(x.shape, gy, **options)]}
    if kind == "adaptive_avg_pool":
        gx = exact.adaptive_avg_pool_grad(x.shape, gy, **options)
        return {"x": [divided_in_turn(gx, arguments)]}
    by_input, by_weight, by_bias = {
        "conv": (exact.conv_grad_input, exact.conv_grad_weight, exact.conv_grad_bias),
        "conv_transpose": (
            exact.conv_transpose_grad_input,
            exact.conv_transpose_grad_weight,
            exact.conv_transpose_grad_bias,
        ),
    }[kind]
    found = {
        "x": product(lambda b, g, _: by_input(x.shape, b, g, **options), w.conj(), gy),
        "weight": product(lambda a, g, _: by_weight(a, w.shape, g, **options), x.conj(), gy),
    }
    if bias is not None:
        batch = gy if x.ndim == w.ndim else gy[None]
        both = (batch.real, batch.imag) if batch.dtype.kind == "c" else (batch,)
        found["bias"] = [by_bias(part) for part in both]
    return found


def beyond(y: Array, expected: Parts, dtype: torch.dtype) -> str:
    """Return by how much a result breaks the bound of `refconv.exact`, if it does.

    Sums of halves are kept in float32.
    """
    out: Format = FORMATS[dtype.to_real() if dtype.is_complex else dtype]
    accumulate = exact.FLOAT64 if out == exact.FLOAT64 else exact.FLOAT32
    parts = (y.real, y.imag) if y.dtype.kind == "c" else (y,)
    for part, known in zip(parts, expected, strict=True):
        if part.shape != known.shape:
            return f"shape {part.shape}, expected {known.shape}"
        inside = known.within(part, accumulate, out)
        if not inside.all():
            return f"{(~inside).sum()} beyond the bound, omega {known.omega(part, out).max()}"
    return ""
