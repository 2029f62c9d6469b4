"""A library with NumPy's interface whose arrays NumPy must never see: CuPy without a GPU.

It has what refconv uses and CuPy has, with CuPy's signatures, and no more. Its arrays work with one
another and with scalars only; they refuse every way in which NumPy, or a loop, could reach their
values. As on a device, writing to one position twice at once is an error, and what NumPy returns as
a scalar is an array without axes.

The module is the namespace of its arrays; `asarray` and `asnumpy` lead in and out.
"""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np

# a library is one module of a name of its own, as CuPy is: its arrays and our messages say it
sys.modules["numpy_like"] = sys.modules[__name__]
__name__ = "numpy_like"

calls = 0  # of the library: on a device, each is a kernel to launch


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise AssertionError("NumPy or a loop reached into an array of another library")


def _bare(value: Any) -> Any:
    """Return the NumPy array inside an array; scalars, shapes and dtypes are themselves."""
    if isinstance(value, ndarray):
        return value._inside
    if isinstance(value, tuple):
        return tuple(_bare(v) for v in value)
    assert not isinstance(value, np.ndarray | list), "an implicit transfer from the host"
    return value


def _call(function: Callable[..., Any], *args: Any, out: Any = None, **options: Any) -> Any:
    """Call a function of NumPy on what is inside the arguments, and wrap what it returns."""
    global calls
    calls += 1
    if out is not None:
        assert isinstance(out, ndarray), "NumPy's memory for a result"
        function(*map(_bare, args), out=out._inside)
        return out
    result = function(*map(_bare, args), **{name: _bare(v) for name, v in options.items()})
    assert result is not NotImplemented
    return ndarray(np.asarray(result))


def _filler(value: Any) -> Any:
    """Return what fills an array: zeros of either sign do so by clearing memory, as in CuPy."""
    return 0 if not isinstance(value, ndarray) and value == 0 else value


def _operator(name: str) -> Any:
    def method(self: Any, *other: Any) -> Any:
        assert not any(isinstance(o, np.ndarray) for o in other), "a NumPy array as an operand"
        result = _call(getattr(np.ndarray, name), self, *other)
        return self if name.startswith("__i") and name != "__invert__" else result

    return method


class ndarray:
    """An array of this library."""

    def __init__(self, inside: Any) -> None:
        self._inside = inside

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        return sys.modules[__name__]

    # what leads to NumPy, to Python's numbers one by one, or to an index
    __array__ = __array_function__ = __array_ufunc__ = __iter__ = __contains__ = _refuse
    __array_interface__ = __array_struct__ = property(_refuse)

    __add__, __radd__, __iadd__ = map(_operator, ("__add__", "__radd__", "__iadd__"))
    __sub__, __rsub__ = map(_operator, ("__sub__", "__rsub__"))
    __mul__, __rmul__ = map(_operator, ("__mul__", "__rmul__"))
    __truediv__, __rtruediv__ = map(_operator, ("__truediv__", "__rtruediv__"))
    __floordiv__, __neg__, __abs__ = map(_operator, ("__floordiv__", "__neg__", "__abs__"))
    __and__, __ior__ = map(_operator, ("__and__", "__ior__"))
    __lt__, __le__, __gt__, __ge__ = map(_operator, ("__lt__", "__le__", "__gt__", "__ge__"))
    __eq__, __ne__ = map(_operator, ("__eq__", "__ne__"))
    __bool__ = lambda self: bool(self._inside)  # noqa: E731 - these four wait for the device
    __int__ = lambda self: int(self._inside)  # noqa: E731
    __float__ = lambda self: float(self._inside)  # noqa: E731
    __format__ = lambda self, spec: format(self._inside[()], spec)  # noqa: E731
    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._inside)

    def __getitem__(self, key: Any) -> "ndarray":
        return _call(np.ndarray.__getitem__, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        at = np.arange(self.size).reshape(self.shape)[_bare(key)].reshape(-1)
        assert len(np.unique(at)) == len(at), "a race: one position is written twice at once"
        _call(np.ndarray.__setitem__, self, key, _filler(value))

    shape = property(lambda self: self._inside.shape)
    strides = property(lambda self: self._inside.strides)
    dtype = property(lambda self: self._inside.dtype)
    ndim = property(lambda self: self._inside.ndim)
    size = property(lambda self: self._inside.size)
    itemsize = property(lambda self: self._inside.itemsize)
    real = property(lambda self: ndarray(self._inside.real))

    def all(self) -> "ndarray":
        return _call(np.ndarray.all, self)

    def any(self) -> "ndarray":
        return _call(np.ndarray.any, self)

    def astype(self, dtype: Any, order: str = "K", *, copy: bool = True) -> "ndarray":
        return _call(np.ndarray.astype, self, dtype, order, copy=copy)

    def conj(self) -> "ndarray":
        return _call(np.ndarray.conj, self)

    def fill(self, value: Any) -> None:
        _call(np.ndarray.fill, self, _filler(value))

    def max(self) -> "ndarray":
        return _call(np.ndarray.max, self)

    def min(self) -> "ndarray":
        return _call(np.ndarray.min, self)

    def reshape(self, *shape: Any) -> "ndarray":
        sizes = shape if isinstance(shape[0], int) else tuple(*shape)
        return _call(np.ndarray.reshape, self, sizes)

    def sum(self, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> "ndarray":
        return _call(np.ndarray.sum, self, axis, dtype, keepdims=keepdims)

    def swapaxes(self, axis1: int, axis2: int) -> "ndarray":
        return _call(np.ndarray.swapaxes, self, axis1, axis2)

    def take(self, indices: Any, axis: int | None = None) -> "ndarray":
        return _call(np.ndarray.take, self, indices, axis)

    def transpose(self, *axes: Any) -> "ndarray":
        return _call(np.ndarray.transpose, self, *axes)

    def view(self, dtype: Any) -> "ndarray":
        return _call(np.ndarray.view, self, dtype)


def asarray(a: Any) -> ndarray:
    """Bring an array of NumPy here, as the array it is: no copy, whatever its layout."""
    return ndarray(a)


def asnumpy(a: ndarray) -> Any:
    """Give an array back to NumPy."""
    assert type(a) is ndarray, f"{type(a)} is of another library"
    return a._inside


# --------------------------------------------------------------------------- functions


def empty(shape: Any, dtype: Any = float) -> ndarray:
    return _call(_poisoned, shape, dtype)


def _poisoned(shape: Any, dtype: Any) -> Any:
    """Return memory in which whoever reads what was not written finds it out."""
    a = np.empty(shape, dtype)
    a.view(np.uint8).fill(0xA5) if a.size else None
    return a


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    return _call(np.zeros, shape, dtype)


def zeros_like(a: Any) -> ndarray:
    return _call(np.zeros_like, a)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> ndarray:
    return _call(np.full, shape, fill_value, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    return _call(np.arange, start, stop, step, dtype)


def array(obj: Any, dtype: Any = None) -> ndarray:
    return ndarray(np.array(obj, dtype))  # the one transfer that is asked for


def ascontiguousarray(a: Any) -> ndarray:
    return _call(np.ascontiguousarray, a)


def moveaxis(a: Any, source: Any, destination: Any) -> ndarray:
    return _call(np.moveaxis, a, source, destination)


def expand_dims(a: Any, axis: Any) -> ndarray:
    assert isinstance(axis, int | tuple), "CuPy takes no list"
    return _call(np.expand_dims, a, axis)


def broadcast_to(array: Any, shape: Any) -> ndarray:
    return _call(np.broadcast_to, array, shape)


def flip(a: Any, axis: Any = None) -> ndarray:
    return _call(np.flip, a, axis)


def concatenate(tup: Any, axis: int = 0) -> ndarray:
    return _call(np.concatenate, tuple(tup), axis)


def copyto(dst: Any, src: Any, casting: str = "same_kind") -> None:
    _call(np.copyto, dst, src, casting)


def ix_(*args: Any) -> tuple[ndarray, ...]:
    return tuple(map(ndarray, np.ix_(*map(_bare, args))))


def take_along_axis(a: Any, indices: Any, axis: int) -> ndarray:
    return _call(np.take_along_axis, a, indices, axis)


def where(condition: Any, x: Any, y: Any) -> ndarray:
    return _call(np.where, condition, x, y)


def clip(a: Any, a_min: Any, a_max: Any) -> ndarray:
    return _call(np.clip, a, a_min, a_max)


def diff(a: Any) -> ndarray:
    return _call(np.diff, a)


def argsort(a: Any, axis: int = -1, kind: str | None = None) -> ndarray:
    return _call(np.argsort, a, axis, kind)


def searchsorted(a: Any, v: Any, side: str = "left") -> ndarray:
    return _call(np.searchsorted, a, v, side)


def matmul(x1: Any, x2: Any, /, out: Any = None) -> ndarray:
    return _call(np.matmul, x1, x2, out=out)


def _ufunc(function: np.ufunc) -> Callable[..., ndarray]:
    if function.nin == 1:
        return lambda x, /, out=None: _call(function, x, out=out)
    return lambda x1, x2, /, out=None: _call(function, x1, x2, out=out)


add, multiply, divide, power = map(_ufunc, (np.add, np.multiply, np.divide, np.power))
maximum, minimum, sqrt = map(_ufunc, (np.maximum, np.minimum, np.sqrt))
greater, not_equal = map(_ufunc, (np.greater, np.not_equal))
sign, signbit, isfinite = map(_ufunc, (np.sign, np.signbit, np.isfinite))


def _as_strided(x: Any, shape: Any = None, strides: Any = None) -> ndarray:
    return _call(np.lib.stride_tricks.as_strided, x, shape, strides)


class _Generator:
    def __init__(self) -> None:
        self._inside = np.random.default_rng()

    def random(self, size: Any = None, dtype: Any = np.float64) -> ndarray:
        return ndarray(self._inside.random(size, dtype))


lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))
random = SimpleNamespace(default_rng=_Generator)
