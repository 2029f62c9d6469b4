"""Pooling, N-d: each file holds the forward form and, right behind it, its gradient."""

from refconv.pooling.adaptive import (
    adaptive_avg_pool,
    adaptive_avg_pool_grad,
    adaptive_max_pool,
    adaptive_max_pool_grad,
)
from refconv.pooling.avg import avg_pool, avg_pool_grad
from refconv.pooling.fractional import (
    fractional_max_pool,
    fractional_max_pool_grad,
)
from refconv.pooling.lp import (
    lp_pool,
    lp_pool_grad,
)
from refconv.pooling.max import (
    max_pool,
    max_pool_grad,
    max_pool_scatter,
    max_pool_select,
)
from refconv.pooling.unpool import (
    max_unpool,
    max_unpool_grad,
)

__all__ = [
    "adaptive_avg_pool",
    "adaptive_avg_pool_grad",
    "adaptive_max_pool",
    "adaptive_max_pool_grad",
    "avg_pool",
    "avg_pool_grad",
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
]
