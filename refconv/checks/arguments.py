"""Arrays and integers: what every operator's arguments are made of."""

import math
import operator
import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.shapes import Shape

Array = NDArray[Any]
Ints = int | Sequence[int]

NUMBERS = "iufc"  # dtype kinds an average or a sum of products has a meaning for
ORDERED = "iuf"  # ... and the ones a maximum has


def _memory() -> float:
    """Return the bytes of memory that this machine has, or infinity where it does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


MEMORY = _memory()

# --------------------------------------------------------------------------- arrays


def namespace(a: Any) -> Any:
    """Return the library that an array is of: NumPy, or one with NumPy's interface; else None.

    The array tells by `__array_namespace__`, or, as CuPy's do up to version 14, by its type's
    module. The library needs what NumPy's interface has beyond the array API: strided views.
    """
    if isinstance(a, np.ndarray):
        return np
    if hasattr(a, "__array_namespace__"):
        xp = a.__array_namespace__()
    else:
        xp = sys.modules.get(type(a).__module__.partition(".")[0])
    tricks = getattr(getattr(xp, "lib", None), "stride_tricks", None)
    numpy_like = hasattr(tricks, "as_strided") and isinstance(a, getattr(xp, "ndarray", ()))
    return xp if numpy_like else None


def library(**arrays: Any) -> Any:
    """Return the one library that all arrays of a call are of; `array` refuses what is no array."""
    first, xp = "", None
    for name, a in arrays.items():
        found = None if a is None else namespace(a)
        if found is not xp and found is not None:
            if xp is not None:
                raise TypeError(
                    f"{first} is a {xp.__name__}.ndarray and {name} is a {found.__name__}.ndarray: "
                    "all arrays of a call must be of one library"
                )
            first, xp = name, found
    return np if xp is None else xp


def array(name: str, value: Any, kinds: str, xp: Any = np) -> Array:
    """Return `value` in native byte order, or raise if it is no array of xp of one of the kinds.

    Of the subclasses of NumPy's array only np.memmap is taken: a mask, or a matrix's products,
    would be forgotten here and remembered there.
    """
    if not isinstance(value, xp.ndarray):
        kind = type(value)
        where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        remedies = {
            "list": f": pass np.asarray({name})",
            "tuple": f": pass np.asarray({name})",
            "Tensor": ": torch_ext.functional takes tensors",
        }
        raise TypeError(
            f"{name} must be a {xp.__name__}.ndarray, got {where}{kind.__name__}"
            f"{remedies.get(kind.__name__, '')}"
        )
    if xp is np and type(value) not in (np.ndarray, np.memmap):
        how = f"{name}.filled(...)" if hasattr(value, "filled") else f"np.asarray({name})"
        raise TypeError(
            f"{name} is a {type(value).__module__}.{type(value).__name__}, whose own rules would "
            f"be lost: pass {how}"
        )
    if value.dtype.kind not in kinds:
        raise NotImplementedError(f"{name} has dtype {value.dtype}, for which this is not defined")
    native: Array = value.astype(value.dtype.newbyteorder("="), copy=False)
    return native


def same_dtype(first: tuple[str, Array], *others: tuple[str, Array | None]) -> None:
    """Raise unless all arrays have one dtype: nothing is promoted, as in torch."""
    name, a = first
    for other, b in others:
        if b is not None and b.dtype != a.dtype:
            raise RuntimeError(
                f"{other} has dtype {b.dtype} and {name} has dtype {a.dtype}: they must be the same"
            )


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype sums of products are kept in: float32 for float16, else the dtype itself."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def rounded(a: Array, dtype: np.dtype[Any]) -> Array:
    """Return the array in a dtype; what overflows is infinite then, without a warning."""
    with np.errstate(all="ignore"):
        return a.astype(dtype, copy=False)


def matches(name: str, a: Array, shape: Shape) -> None:
    """Raise unless `a` has this shape."""
    if a.shape != shape:
        raise RuntimeError(f"{name} has shape {a.shape}, expected {shape}")


def result(xp: Any, shape: Shape, dtype: Any, zeros: bool = False) -> Array:
    """Return a new array for a result; where there is no room for it, raise as torch does.

    A system that promises more memory than it has would end the process later, while it is filled.
    """
    try:
        if math.prod(shape) * np.dtype(dtype).itemsize > MEMORY:
            raise MemoryError
        new: Array = (xp.zeros if zeros else xp.empty)(shape, dtype)
    except (MemoryError, OverflowError, ValueError):
        raise RuntimeError(
            f"the result has shape {shape} and dtype {np.dtype(dtype)}: there is no memory for it"
        ) from None
    return new


def batched(shape: Sequence[int], rank: int, name: str, what: str) -> tuple[Shape, bool]:
    """Return the shape with its batch axis, and whether that axis had to be added."""
    full = integers(name, shape)
    if len(full) == rank + 2:
        return full, False
    if len(full) == rank + 1:
        return (1, *full), True
    raise RuntimeError(
        f"{name} has {len(full)} dimensions, shape {shown(full)}: "
        f"{what} with {rank} spatial axes expects {rank + 1} (unbatched) or {rank + 2} (batched)"
    )


def summing(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype averages are summed in: the widest integer, else the accumulator."""
    return np.dtype({"i": np.int64, "u": np.uint64}.get(dtype.kind, accumulator(dtype)))


# --------------------------------------------------------------------------- integers


def shown(value: Any) -> str:
    """Return a value for a message: an array by its shape, what is long by its beginning."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and math.prod(value.shape) > 8:
        return f"an array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"


def integers(name: str, value: Any) -> Shape:
    """Return integers in a row as a tuple: of a tuple, a list, or an array of one axis."""
    no_row = isinstance(value, str | bytes | bytearray | Set | Mapping)
    if no_row or not isinstance(value, Iterable) or len(getattr(value, "shape", (0,))) != 1:
        raise TypeError(f"{name} must be integers, got {shown(value)}")
    try:
        return tuple(integer(name, v) for v in value)
    except TypeError:
        raise TypeError(f"{name} must be integers, got {shown(value)}") from None


def integer(name: str, value: Any) -> int:
    """Return an integer; a bool or a float is refused. A symbolic integer stays what it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not -(2**63) <= value < 2**63:
            raise RuntimeError(f"{name} must fit in 64 bits, got {shown(value)}")
        return value
    try:
        of_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
        if of_bool or not is_integer(value):
            raise TypeError
        if hasattr(value, "__add__") and not hasattr(value, "shape"):
            return value  # type: ignore[no-any-return]
        return integer(name, operator.index(value))
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, got {shown(value)} ({type(value).__name__})"
        ) from None


def is_integer(value: Any) -> bool:
    """Return whether the value is one integer, of whatever type, and not several."""
    return isinstance(value, int) or (
        hasattr(value, "__index__") and len(getattr(value, "shape", ())) == 0
    )


def per_axis(name: str, value: Any, rank: int, minimum: int) -> Shape:
    """Return one integer for every spatial axis; an int, or a sequence of one, stands for all."""
    if is_integer(value):
        sizes = (integer(name, value),) * rank
    else:
        sizes = integers(name, value)
        sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank:
        raise RuntimeError(
            f"{name} must be an integer or one per spatial axis ({rank}), got {shown(value)}"
        )
    if any(v < minimum for v in sizes):
        raise RuntimeError(f"{name} must be at least {minimum} in every axis, got {shown(value)}")
    return sizes


def spatial_axes(name: str, value: Any, shape: Shape, x_name: str) -> int:
    """Return the number of spatial axes: that of `value`, or for one integer all behind (N, C).

    Three axes could be (N, C, L) or (C, H, W): an integer is refused there, not guessed about.
    """
    if not is_integer(value):
        return len(integers(name, value))
    size = integer(name, value)
    if len(shape) == 3:
        raise RuntimeError(
            f"{name}={size} leaves open what the axes of {x_name} {shape} are: write "
            f"{name}=({size},) for a batch (N, C, L), {name}=({size}, {size}) for one image "
            "(C, H, W)"
        )
    return max(1, len(shape) - 2)
