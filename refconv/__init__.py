"""Convolution, pooling and their gradients in plain NumPy, N-d, closed under differentiation.

Arrays of another library with NumPy's interface (CuPy) are computed by that library, on the device
where they are, from the same source: each function asks its arrays for their library, called xp
(`refconv.geometry.namespace`), and NumPy itself then sees shapes, dtypes and indices only. All
arrays of a call are of one library; on CuPy their device must be the current one. Of the subclasses
of NumPy's array np.memmap alone is taken: what a mask or a matrix means is for the caller to say,
by `x.filled(...)` or `np.asarray(x)`.

One letter map everywhere (the spatial letters are those of Dumoulin and Visin, arXiv:1603.07285):

    i o k s p d a     input, output and kernel size, stride, padding, dilation, output padding
    N C M G           images, input channels, output channels (filters), groups
    n g c m           the same of a geometry: images, groups, channels and filters of one group
    x w b y           input, weight, bias, output
    gx gw gb gy       the gradients of a scalar for x, w, b, y; ggx ... the next order
    geo plan xp       a call's checked geometry; its cut into tiles; the library of its arrays
    u S               half the distance from 1 to the next number, the sum of |terms|: of a bound
                      (in fractional pooling u is the random numbers that place the windows)

Every name here has a twin of the same signature in `refconv.direct`: the definition, as loops.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from refconv import direct, signatures
from refconv.fast.adaptive_pooling import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    adaptive_max_pool_grad,
)
from refconv.fast.average_pooling import avg_pool, avg_pool_grad
from refconv.fast.convolution import conv, conv_grad_bias, conv_grad_input, conv_grad_weight
from refconv.fast.folding import fold, unfold
from refconv.fast.fractional_pooling import fractional_max_pool, fractional_max_pool_grad
from refconv.fast.max_pooling import (
    max_pool,
    max_pool_grad,
    max_pool_scatter,
    max_pool_select,
)
from refconv.fast.padding import pad, pad_grad
from refconv.fast.power_pooling import lp_pool, lp_pool_grad
from refconv.fast.transposed import (
    conv_transpose,
    conv_transpose_grad_bias,
    conv_transpose_grad_input,
    conv_transpose_grad_weight,
)
from refconv.fast.unpooling import max_unpool, max_unpool_grad

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "adaptive_max_pool_grad",
    "avg_pool",
    "avg_pool_grad",
    "conv",
    "conv_grad_bias",
    "conv_grad_input",
    "conv_grad_weight",
    "conv_transpose",
    "conv_transpose_grad_bias",
    "conv_transpose_grad_input",
    "conv_transpose_grad_weight",
    "direct",
    "fold",
    "fractional_max_pool",
    "fractional_max_pool_grad",
    "lp_pool",
    "lp_pool_grad",
    "max_pool",
    "max_pool_grad",
    "max_pool_scatter",
    "max_pool_select",
    "max_unpool",
    "max_unpool_grad",
    "pad",
    "pad_grad",
    "unfold",
]

try:
    __version__ = version("refconv")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

signatures.shorten(__all__, globals())
signatures.shorten(direct.__all__, vars(direct))


def __getattr__(name: str) -> Any:
    """Import `refconv.exact` and `refconv.textbook` when they are first asked for."""
    if name in ("exact", "textbook"):
        return importlib.import_module(f"refconv.{name}")
    raise AttributeError(f"module 'refconv' has no attribute {name!r}")
