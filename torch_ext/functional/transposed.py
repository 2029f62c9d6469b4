# mypy: allow-untyped-calls
"""conv_transpose1d, conv_transpose2d, conv_transpose3d."""

from torch import Tensor
from torch.nn import functional as F

from refconv import geometry
from refconv.geometry import Ints
from torch_ext import operators
from torch_ext.functional import _arguments, _autocast, _tracing
from torch_ext.functional._door import door


@door(F.conv_transpose1d)
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution over one spatial axis; all as in `conv_transpose2d`.

    (N, C, i) by (C, M / groups, k) -> (N, M, o), or without N: (C, i) -> (M, o).

    >>> import torch
    >>> x, w = torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> conv_transpose1d(x, w, stride=2).tolist()
    [[[1.0, 2.0, 13.0, 20.0, 30.0]]]
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@door(F.conv_transpose2d)
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution of (N, C, *i) with weights (C, M / groups, *k), over two spatial axes.

        y[n, m', o] = bias[m'] + sum over c, i, k with i s + k d - p = o
                      of input[n, c, i] weight[c, m, k]

    with c over one group and m' = (c // (C / groups)) (M / groups) + m: every input lays a copy of
    the kernel, multiplied by its value, onto the output.

    Args:
        input: (N, C, *i), or (C, *i) without a batch.
        weight: (C, M / groups, *k).
        bias: (M), or None.
        stride: s, at least 1: an integer, or one for each spatial axis, as all that follow.
        padding: p, at least 0; what it removes from both ends of the output.
        output_padding: a, at least 0 and smaller than stride or dilation; what it adds to the far
            end of the output.
        groups: divides C and M. It comes before the dilation.
        dilation: d, at least 1.

    Returns:
        (N, M, *o) with o = (i - 1) s - 2 p + d (k - 1) + a + 1, of the input's dtype. Its channels
        lie last in memory if those of a batched input or of the weight do.

    float16 and bfloat16 are summed in float32 and rounded once. Integers are taken, and wrap, but
    have no gradient.

    Raises:
        TypeError: an argument is not a tensor, or not an integer; `padding` is a word.
        NotImplementedError: bool, or a dtype NumPy does not have.
        RuntimeError: dtypes, devices or shapes do not agree, or a size is out of range.

    Counterpart of `torch.nn.functional.conv_transpose2d`. Differs from torch: takes integers other
    than int64; refuses a bias of another dtype in one and two dimensions too.

    Source: Dumoulin and Visin, arXiv:1603.07285, section 4.

    >>> import torch
    >>> x, w = torch.ones(1, 4, 3, 3), torch.ones(4, 3, 2, 2)
    >>> conv_transpose2d(x, w, stride=2, output_padding=(0, 1), groups=2).shape
    torch.Size([1, 6, 6, 7])
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@door(F.conv_transpose3d)
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Transposed convolution over three spatial axes; all as in `conv_transpose2d`.

    (N, C, i1, i2, i3) by (C, M / groups, k1, k2, k3) -> (N, M, o1, o2, o3), or without N.

    >>> import torch
    >>> conv_transpose3d(torch.ones(2, 4, 4, 4), torch.ones(2, 5, 1, 3, 3), stride=(1, 2, 2)).shape
    torch.Size([5, 4, 9, 9])
    """
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@_tracing.recorded
def _conv_transpose(
    rank: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Tensor:
    """Check everything under torch's names, complete the options, and convolve a batch."""
    input, weight, bias = _autocast.cast(f"conv_transpose{rank}d", input, weight, bias)
    _arguments.tensor("input", input, _arguments.NUMBERS)
    _arguments.operand("weight", weight, input)
    if bias is not None:
        _arguments.operand("bias", bias, input)
    if weight.dim() != rank + 2:
        raise RuntimeError(
            f"weight has {weight.dim()} dimensions, shape {tuple(weight.shape)}: "
            f"conv_transpose{rank}d expects {rank + 2}"
        )
    geo = _arguments.known(geometry.conv_transpose)(
        input.shape, weight.shape, stride, padding, output_padding, groups, dilation, x_name="input"
    )
    _arguments.per_filter(bias, geo.g * geo.c)
    x = input.unsqueeze(0) if geo.unbatched else input
    p = tuple(before for before, _ in geo.p)
    a = geometry.per_axis("output_padding", output_padding, rank, 0)
    y = operators.conv(x, weight, bias, geo.s, p, geo.d, True, a, geo.g)
    return y.squeeze(0) if geo.unbatched else y
