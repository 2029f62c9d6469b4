"""The numbers of a call, drawn for a dtype and a tier.

exact      integers times a power of two, so small that no sum of any quantity can round; products
           x w, gy w, gy x, ... keep their scales apart by powers of two, except where second
           gradients add them up
ladder     the same for large sizes: ones, of both signs, and so few of them where sums are long
           that these fit in the dtype
subnormal  as exact, and every result a whole multiple of the smallest number of the dtype
contract   as exact, of one scale
huge       as exact, and the largest sums just below the largest number of the dtype
bounded    normal numbers
"""

import math
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from refconv import exact
from refconv.exact import Format
from torch_ext.parity.catalogue import Case, Operator
from torch_ext.parity.catalogue.operator import Bilinear
from torch_ext.parity.layouts import Values

FORMATS: dict[torch.dtype, Format] = {
    torch.float32: exact.FLOAT32,
    torch.float64: exact.FLOAT64,
    torch.float16: exact.FLOAT16,
    torch.bfloat16: exact.BFLOAT16,
    torch.complex64: exact.FLOAT32,  # of their parts
    torch.complex128: exact.FLOAT64,
}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
COMPLEX = (torch.complex64, torch.complex128)
LARGEST = {8: 2**7, 11: 2**8, 24: 2**8, 53: 2**20}
"""The largest integer drawn: exact in bfloat16, thus in TF32; in float64, not in a float32 sum."""
COTANGENTS = {"x": "vx", "weight": "vw", "bias": "vb"}


def stream(case: Case, dtype: torch.dtype, tier: str, seed: int) -> np.random.Generator:
    """Return the generator of a case's numbers."""
    return np.random.default_rng(
        [seed, case.identity, list(FORMATS).index(dtype), crc32(tier.encode())]
    )


def draw(op: Operator, case: Case, dtype: torch.dtype, tier: str, seed: int) -> Values:
    """Return contiguous CPU tensors: the operands, gy, and vx, vw, vb.

    These are the cotangents of gx, gw and gb in the second gradients.
    """
    rng = stream(case, dtype, tier, seed)
    y = op.y_shape(case)
    fixed = op.fixed(case, dtype, rng)
    drawn = [name for name in op.variables if name in case.shapes]
    shapes = {name: case.shapes[name] for name in drawn} | {"gy": y}
    shapes |= {COTANGENTS[name]: case.shapes[name] for name in drawn}
    if tier == "bounded":
        values = {name: normal(shape, dtype, rng) for name, shape in shapes.items()}
        return values | fixed
    if tier == "ladder":
        values = sparse(op, case, shapes, dtype, rng)
    else:
        values = integers(op, case, shapes, dtype, tier, rng)
    if case.values not in ("plain", "one magnitude", "positive"):
        values["x"] = special(case, dtype, rng)
    return values | fixed


def integers(
    op: Operator,
    case: Case,
    shapes: dict[str, tuple[int, ...]],
    dtype: torch.dtype,
    tier: str,
    rng: np.random.Generator,
) -> Values:
    """Return integers times powers of two, as large as the sums allow."""
    f, divisor = FORMATS[dtype], op.divisor(case)
    terms = max(op.terms(case, shapes["gy"])) * (1 + dtype.is_complex)
    most = 2**f.precision // (divisor * (terms if divisor > 1 else 1))
    bilinear = op.multiplies
    largest = math.isqrt(2**f.precision // terms) if bilinear else 2**f.precision // terms
    largest = min(LARGEST[f.precision], max(1, min(largest, most)))
    a, b, c = (int(v) for v in rng.integers(-2, 3, 3))
    if tier == "contract":  # numbers of several draws meet there
        a = b = c = 0
    elif tier == "subnormal":
        lowest = f.emin - f.precision + 1
        a = b = c = -(-lowest // 2) if bilinear else lowest
    elif tier == "huge":
        sums = (terms * divisor * largest ** (1 + bilinear)).bit_length()
        a = b = c = (f.emax - sums) // (1 + bilinear)
    scale = {"x": a, "vx": a, "weight": b, "vw": b, "bias": a + b, "vb": a + b, "gy": c}
    multiple = {"gy": divisor}
    if op.roundings or tier in ("subnormal", "huge"):
        multiple |= {"x": divisor, "vx": divisor}
    return {
        name: whole(shape, dtype, rng, largest, multiple.get(name, 1) * 2.0 ** scale[name])
        for name, shape in shapes.items()
    }


def sparse(
    op: Operator,
    case: Case,
    shapes: dict[str, tuple[int, ...]],
    dtype: torch.dtype,
    rng: np.random.Generator,
) -> Values:
    """Return ones of both signs, and zeros where there would be too many for the dtype's sums.

    Sums of y are kept in float32 at least where there is a weight; all other sums may be kept in
    the dtype itself.
    """
    precision = FORMATS[dtype].precision
    divisor = 1 if op.apart(case) else op.divisor(case)
    of_y, of_gx, of_gw = op.terms(case, shapes["gy"])
    room = 2 ** (precision - 1)
    of_y = 1 if op.gives_indices else of_y
    by_x = 1.0 if isinstance(op, Bilinear) else min(1.0, room / of_y)
    largest = {"x": 1 if isinstance(op, Bilinear) else max(1, min(room // (of_y * divisor), 2**7))}
    by_gy = min(1.0, room / max(of_gx * divisor, of_gw, 1))
    density = {"x": by_x, "gy": by_gy}
    multiple = {"gy": divisor} | ({"x": divisor} if op.roundings else {})
    found = {}
    for name, shape in shapes.items():
        if name.startswith("v"):
            continue
        ones = whole(shape, dtype, rng, largest.get(name, 1), multiple.get(name, 1))
        few = density.get(name, 1.0)
        found[name] = ones if few == 1 else ones * torch.from_numpy(rng.random(shape) < few)
    return found


def normal(shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator) -> Tensor:
    """Return standard normal numbers, rounded to the dtype."""
    drawn = np.asarray(rng.standard_normal(shape))
    if dtype.is_complex:
        drawn = drawn + 1j * rng.standard_normal(shape)
    return torch.from_numpy(drawn).to(dtype)


def whole(
    shape: tuple[int, ...], dtype: torch.dtype, rng: np.random.Generator, largest: int, scale: float
) -> Tensor:
    """Return scale times integers from -largest to largest, none of them 0 if that is 1."""

    def drawn() -> np.ndarray:
        if largest == 1:
            return rng.integers(0, 2, shape) * 2 - 1
        return rng.integers(-largest, largest + 1, shape)

    real = drawn() * scale
    found = real + 1j * (drawn() * scale) if dtype.is_complex else real
    return torch.from_numpy(np.asarray(found)).to(dtype)


def special(case: Case, dtype: torch.dtype, rng: np.random.Generator) -> Tensor:
    """Return an input of the kind `case.values`, for a maximum to choose from."""
    inf, nan = math.inf, math.nan
    choices: dict[str, list[float]] = {
        "ties": [0, 1],
        "zeros of both signs": [-0.0, 0.0],
        "one NaN": [-2, -1, 0, 1, 2, 3],
        "several NaN": [-1, 0, 1, nan],
        "all NaN": [nan],
        "windows of -inf": [-inf] * 9 + [0],
        "all -inf": [-inf],
        "infinities and NaN": [-inf, inf, nan, 0, 1],
    }
    x = rng.choice(np.array(choices[case.values], np.float64), case.shape)
    if case.values == "one NaN":
        x.reshape(-1)[x.size // 2] = nan
    return torch.from_numpy(x).to(dtype)
