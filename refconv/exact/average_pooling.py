"""Average pooling and its gradient in exact arithmetic."""

import math
from collections.abc import Sequence

import numpy as np

from refconv import geometry
from refconv.direct.average_pooling import divisor
from refconv.exact.max_pooling import taps
from refconv.exact.sums import Exact, scaled, total
from refconv.geometry import Array, Ints, Pool


def divisors(geo: Pool, count_include_pad: bool, divisor_override: int | None) -> Array:
    """Return what the sum of each window is divided by, as Python integers, (*o)."""
    override = geometry.divisor_override(divisor_override, np.dtype(object))
    counts = [divisor(geo, o, count_include_pad, override) for o in np.ndindex(geo.o)]
    return np.array(counts, object).reshape(geo.o)


def avg_pool(
    x: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Exact:
    """y[o] = (sum of x over window o) / divisor, exactly.

    >>> y = avg_pool(np.array([[[1.0, 2.0, 4.0]]]), (2,), ceil_mode=True)
    >>> y.value
    array([[[Fraction(3, 2), Fraction(4, 1)]]], dtype=object)
    """
    ints, e = scaled("x", x)
    geometry.flag("count_include_pad", count_include_pad)
    geo = geometry.pool(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    at_x, at_y = taps(geo)
    sums = total(ints.ravel()[at_x], e, at_y, geo.y_shape)
    y = sums.divided_by(divisors(geo, count_include_pad, divisor_override))
    return y[0] if geo.unbatched else y


def avg_pool_grad(
    input_shape: Sequence[int],
    grad_output: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Exact:
    """gx[i] = sum of gy / divisor over the windows that hold i, exactly.

    The shares gy / divisor are brought to one denominator, the least odd one that serves them all:
    where it is 1, no division rounds.
    """
    gy, e = scaled("grad_output", grad_output)
    geometry.flag("count_include_pad", count_include_pad)
    geo = geometry.pool(input_shape, kernel_size, stride, padding, 1, ceil_mode, "input_shape")
    geometry.matches("grad_output", grad_output, geo.y_shape[geo.unbatched :])
    count = divisors(geo, count_include_pad, divisor_override)
    common = math.lcm(*count.ravel())
    shares = gy.reshape(geo.y_shape) * (common // count)
    factor = math.gcd(common, *shares.ravel())
    rest = common // factor
    halvings = (rest & -rest).bit_length() - 1  # a division by 2 rounds nothing
    at_x, at_y = taps(geo)
    gx = total((shares // factor).ravel()[at_y], e - halvings, at_x, geo.x_shape)
    gx = gx.divided_by(np.array(rest >> halvings, object))
    return gx[0] if geo.unbatched else gx
