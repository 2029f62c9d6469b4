"""Pooling, N-d: each file holds the forward form and, right behind it, its gradient."""

from refconv.pooling.avg import avg_pool, avg_pool_grad
from refconv.pooling.max import max_pool, max_pool_grad, max_pool_select

__all__ = ["avg_pool", "avg_pool_grad", "max_pool", "max_pool_grad", "max_pool_select"]
