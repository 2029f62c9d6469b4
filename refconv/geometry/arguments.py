"""Arrays and integers: what every operator's arguments are made of."""

import contextlib
import math
import operator
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refconv.geometry.messages import shown
from refconv.geometry.sizes import Shape

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
TEXT = (str, bytes, bytearray, memoryview)

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


def library(kinds: str = "", /, **arrays: Any) -> Any:
    """Return the one library that all arrays of a call are of; `array` refuses what is not one.

    Where objects are among the kinds, as for the definitions, that is NumPy.
    """
    if "O" in kinds:
        return np
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
    """Return `value` in native byte order, or raise if it is not an array of xp of one of the
    kinds.

    Of the subclasses of NumPy's array only np.memmap is taken: a mask, or a matrix's products,
    would be forgotten here and remembered there.
    """
    kind = type(value)
    where = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    given = f"{where}{kind.__name__}"
    if not isinstance(value, xp.ndarray):
        raise TypeError(
            f"{name} must be a {xp.__name__}.ndarray, got {given:.80}{_use(name, value)}"
        )
    if xp is np and kind not in (np.ndarray, np.memmap):
        how = f"{name}.filled(...)" if hasattr(value, "filled") else f"np.asarray({name})"
        raise TypeError(f"{name} is a {given:.80}, whose own rules would be lost: pass {how}")
    if value.dtype.kind not in kinds:
        raise NotImplementedError(
            f"{name} has dtype {value.dtype!s:.80}, for which this is not defined"
        )
    native: Array = value.astype(value.dtype.newbyteorder("="), copy=False)
    return native


def _use(name: str, value: Any) -> str:
    """Return what to use in place of what is not an array, where there is something."""
    if hasattr(value, "__torch_function__"):
        return ": torch_ext.functional takes tensors"
    if value is None or isinstance(value, str | bytes | dict | set):
        return ""
    return f": pass np.asarray({name})"


def operands(kinds: str, **given: Any) -> Sequence[Any]:
    """Return the arrays of a call, all of one library and one dtype; the bias may be None.

    >>> operands("f", x=np.ones(2), bias=None)
    [array([1., 1.]), None]
    """
    xp = library(kinds, **given)
    found = [
        None if a is None and name == "bias" else array(name, a, kinds, xp)
        for name, a in given.items()
    ]
    same_dtype(*zip(given, found, strict=True))
    return found


def same_dtype(first: tuple[str, Any], *others: tuple[str, Any]) -> None:
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


class Checked(Protocol):
    """What the geometry of every call with a batch axis tells."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def unbatched(self) -> bool: ...
    @property
    def x_shape(self) -> Shape: ...
    @property
    def y_shape(self) -> Shape: ...


def as_x(geo: Checked, a: Array) -> Array:
    """Return a result of the shape of x as x was given: in its dtype, and unbatched if it was."""
    return rounded(a, geo.dtype).reshape(geo.x_shape[geo.unbatched :])


def as_y(geo: Checked, a: Array) -> Array:
    """Return a result of the shape of y likewise."""
    return rounded(a, geo.dtype).reshape(geo.y_shape[geo.unbatched :])


def positions_as_y(geo: Checked, indices: Array) -> Array:
    """Return indices of the shape of y as x was given: unbatched if it was."""
    return indices.reshape(geo.y_shape[geo.unbatched :])


def matches(name: str, a: Array, shape: Shape) -> None:
    """Raise unless `a` has this shape."""
    if a.shape != shape:
        raise RuntimeError(f"{name} has shape {shown(a.shape)}, expected {shown(shape)}")


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
            f"the result has shape {shown(shape)} and dtype {np.dtype(dtype)}: there is no memory "
            "for it"
        ) from None
    return new


def batched(shape: Sequence[int], rank: int, name: str, what: str) -> tuple[Shape, bool]:
    """Return the shape with its batch axis, and whether that axis had to be added."""
    full = integers(name, shape)
    if len(full) == rank + 2:
        return full, False
    if len(full) == rank + 1:
        return (1, *full), True
    one_channel = len(full) == rank and not name.endswith("shape")
    raise RuntimeError(
        f"{name} has {len(full)} dimensions, shape {shown(full)}: {what} with {rank} spatial axes "
        f"expects {rank + 1} (unbatched) or {rank + 2} (batched)"
        f"{f'; for one channel use {name}[None]' if one_channel else ''}"
    )


def summing(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype averages are summed in: the widest integer, else the accumulator."""
    return np.dtype({"i": np.int64, "u": np.uint64}.get(dtype.kind, accumulator(dtype)))


# --------------------------------------------------------------------------- integers


def integers(name: str, value: Any) -> Shape:
    """Return a tuple, a list, another sequence or an array of one axis as a tuple of integers."""
    return tuple(integer(name, v, value) for v in several(name, value))


def several(name: str, value: Any) -> Sequence[Any]:
    """Return what may hold sizes: a sequence that is not text, or an array of one axis."""
    if isinstance(value, Sequence) and not isinstance(value, TEXT):
        return value
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "__index__"):
        return value  # type: ignore[no-any-return]
    for_its_shape = name.endswith("shape") and hasattr(value, "shape")
    raise TypeError(
        f"{name} must be integers, got {shown(value)}{': pass its .shape' if for_its_shape else ''}"
    )


def integer(name: str, value: Any, among: Any = None) -> int:
    """Return an integer as Python's, or raise and show it, or those it is `among`.

    A bool or a float is refused; a symbolic integer of torch stays what it is.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _of_64_bits(name, value)  # first: torch's compiler asks a symbol for no attribute
    logical = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    if hasattr(value, "__index__") and not logical:
        if hasattr(value, "node"):
            return value  # type: ignore[no-any-return]
        with contextlib.suppress(TypeError):  # an array of a float, or of several
            return _of_64_bits(name, operator.index(value))
    if among is None:
        kind = type(value).__name__
        raise TypeError(f"{name} must be an integer, got {shown(value)} ({kind:.40})")
    raise TypeError(f"{name} must be integers, got {shown(among)}")


def flag(name: str, value: Any) -> bool:
    """Return a bool; nothing else passes for one, as in torch."""
    if not isinstance(value, bool | np.bool_):
        kind = type(value).__name__
        raise TypeError(f"{name} must be a bool, got {shown(value)} ({kind:.40})")
    return bool(value)


def _of_64_bits(name: str, value: int) -> int:
    """Return an integer that every array's size could be."""
    if not -(2**63) <= value < 2**63:
        raise RuntimeError(f"{name} must fit in 64 bits, got {shown(value)}")
    return value


def is_integer(value: Any) -> bool:
    """Return whether the value is one integer, of any type, and not several."""
    if isinstance(value, int):
        return True
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def spatial_axes(name: str, value: Any, shape: Shape, x_name: str) -> int:
    """Return the number of spatial axes: that of `value`, or for one integer all behind (N, C).

    Three axes could be (N, C, L) or (C, H, W): an integer is refused there, not guessed about.
    """
    if not is_integer(value):
        return len(integers(name, value))
    size = integer(name, value)
    if len(shape) == 3:
        raise RuntimeError(
            f"{name}={shown(size)} leaves open what the axes of {x_name} {shown(shape)} are: write "
            f"{name}=({shown(size)},) for a batch (N, C, L), {name}=({shown(size)}, "
            f"{shown(size)}) for one image "
            "(C, H, W)"
        )
    return max(1, len(shape) - 2)


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
