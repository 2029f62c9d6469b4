"""Bugs for refconv's own source: what is written there, and what one might have written instead.

Every bug takes one file of a fresh copy of the package, which `copy_with` makes; the package that
is imported stays as it is. A snippet must occur exactly once in its file, so that no row can rot.
"""

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import refconv

ROOT = Path(refconv.__file__).parent


class Bug(NamedTuple):
    """A bug, and the check of the battery, and the operator, that must show it."""

    name: str
    file: str
    right: str
    wrong: str
    check: str
    operator: str

    @property
    def in_fast(self) -> bool:
        """Whether the fast forms read this file."""
        return not self.file.startswith("direct/")

    @property
    def in_direct(self) -> bool:
        """Whether the definitions do: of the rest they share the geometry only."""
        return self.file.startswith(("direct/", "geometry/"))


CONV, COLUMNS = "fast/convolution.py", "engine/columns.py"
PADDING, SHAPES = "fast/padding.py", "geometry/sizes.py"
BUGS = [
    # ------------------------------------------------------------------ convolution
    Bug("no flip in the input gradient", CONV,
        "xp.flip(by_channel, tuple(range(3, by_channel.ndim)))", "by_channel",
        "adjoint", "conv"),
    Bug("input gradient x 1.001", CONV,
        "transposed(geo, conjugate(w), gy)", "1.001 * transposed(geo, conjugate(w), gy)",
        "adjoint", "conv"),
    Bug("adjoint without the conjugate", CONV,
        "transposed(geo, conjugate(w), gy)", "transposed(geo, w, gy)",
        "adjoint", "conv"),
    Bug("weight gradient without the conjugate", CONV,
        "sum_over_outputs(geo, conjugate(x), gy)", "sum_over_outputs(geo, x, gy)",
        "torch", "conv_grad_weight"),
    Bug("input gradient pads on the other side", CONV,
        "(a - lo, a - hi)", "(a - hi, a - lo)", "torch", "conv_grad_input"),
    Bug("dilation of the wrong axis in the input gradient", CONV,
        "zip(geo.k, geo.d, strict=True)", "zip(geo.k, geo.d[::-1], strict=True)",
        "adjoint", "conv"),
    Bug("groups of the input gradient mixed up", CONV,
        "w.reshape(geo.g, geo.m, geo.c, *geo.k).swapaxes(1, 2)",
        "w.reshape(geo.g, geo.m, geo.c, *geo.k)[::-1].swapaxes(1, 2)", "direct", "conv_grad_input"),
    Bug("stride ignored in the weight gradient", CONV,
        "columns(geo, plan, xs, n, g, c, box)):\n                if number == 0",
        "columns(geo._replace(s=(1,) * len(geo.s)), plan, xs, n, g, c, box)):\n"
        "                if number == 0", "adjoint", "conv"),
    Bug("weight gradient of the first group in three axes", CONV,
        "beside = side_by_side(gys, n, g, box)",
        "beside = side_by_side(gys, n, g, box)"
        "[[0] * (g.stop - g.start) if len(geo.k) == 3 else ...]",
        "torch", "conv_grad_weight"),
    Bug("weight gradient of the last tile only", CONV,
        "total[shift] += xp.matmul", "total[shift] = xp.matmul", "direct", "conv_grad_weight"),
    Bug("weight gradient of the first part only", CONV,
        "sums[0] if len(parts) == 1 else sums.sum(0)", "sums[0]", "direct", "conv_grad_weight"),
    Bug("bias gradient over the wrong axes", CONV,
        "gy[:, m].sum(", "gy.swapaxes(0, 1)[:, m].sum(", "torch", "conv_grad_bias"),
    Bug("bias gradient of the first image", CONV,
        "gy[:, m].sum(", "gy[:1, m].sum(", "torch", "conv_grad_bias"),
    Bug("bias of the first group", CONV,
        "out += bs[g, m]", "out += bs[:1, m]", "torch", "conv"),
    Bug("bias of the first group, strided", CONV,
        "    y += bias.reshape(-1,", "    y += bias[:1].reshape(-1,", "torch", "conv_transpose"),
    Bug("every group takes the first group's weight", CONV,
        "kernel = ws[shift, g, m, plan.rows(c)]", "kernel = ws[shift, :1, m, plan.rows(c)]",
        "torch", "conv"),
    Bug("channels of the last block only", CONV,
        "if c.start == shift == 0:", "if shift == 0:", "direct", "conv"),
    Bug("grouped transposed convolution writes one channel a group", CONV,
        "add_patch(geo, gx[n, g, c], by_window, box)",
        "add_patch(geo, gx[n, g, c][:, :, :1], by_window[:, :, :1], box)",
        "torch", "conv_transpose"),
    Bug("last tile dropped", CONV,
        "for box in plan.boxes:", "for box in plan.boxes[: max(1, len(plan.boxes) - 1)]:",
        "direct", "conv_transpose"),
    Bug("convolution summed in float16", CONV,
        "correlate(geo, x, w, b)", "correlate(geo, *(a if a is None else a.astype(geo.dtype)\n"
        "        for a in (x, w, b)))", "half", "conv"),
    Bug("input gradient summed in float16", CONV,
        "transposed(geo, conjugate(w), gy)",
        "transposed(geo, w.astype(geo.dtype), gy.astype(geo.dtype))", "half", "conv_grad_input"),
    Bug("bias gradient summed in float16", CONV,
        "dtype=accumulator(gy.dtype))", "dtype=gy.dtype)", "half", "conv_grad_bias"),
    Bug("integers by way of float", CONV,
        "correlate(geo, x, w, b)", "correlate(geo, *((x * 1.0, w * 1.0, b) if x.dtype.kind == 'i' "
        "else (x, w, b)))", "direct", "conv"),
    # ------------------------------------------------------------------ windows and tiles
    Bug("stride ignored in the columns", COLUMNS,
        "*o[1:]), geo.s, geo.d)", "*o[1:]), (1,) * len(geo.s), geo.d)",
        "torch", "conv"),
    Bug("dilation of the wrong axis in the columns", COLUMNS,
        "(o[0] + further, *o[1:]), geo.s, geo.d)", "(o[0] + further, *o[1:]), geo.s, geo.d[::-1])",
        "torch", "conv"),
    Bug("shifts forget the dilation", COLUMNS,
        "step, outputs = geo.d[0] * math.prod(o[1:])", "step, outputs = math.prod(o[1:])",
        "direct", "conv_transpose"),
    Bug("taps and channels of a kernel exchanged", COLUMNS,
        "w.reshape(geo.g, geo.m, geo.c, plan.shifts, plan.rows_per_channel), 3, 0",
        "w.reshape(geo.g, geo.m, plan.shifts, geo.c, plan.rows_per_channel), 2, 0",
        "direct", "conv"),
    Bug("off-by-one padding on the right", "engine/patches.py",
        "max(min(side.stop, size), 0))", "max(min(side.stop, size - 1), 0))", "torch", "conv"),
    Bug("'same' pads on the left", SHAPES,
        "return total // 2, total - total // 2", "return total - total // 2, total // 2",
        "torch", "conv"),
    Bug("adding windows back overwrites", "engine/patches.py",
        "phases[last_axes((*r, *t))] +=", "phases[last_axes((*r, *t))] =", "adjoint", "unfold"),
    Bug("windows added back at the stride's wrong phase", "engine/patches.py",
        "r = [a % step for a, step in zip(at, s, strict=True)]",
        "r = [(a + 1) % step for a, step in zip(at, s, strict=True)]", "torch", "fold"),
    Bug("a last block of one element dropped", "engine/tiles.py",
        "for first in range(0, size, max(1, step))]",
        "for first in range(0, max(min(size, 1), size - 1), max(1, step))]",
        "direct", "conv_grad_input"),
    Bug("dilation of the wrong axis", "geometry/convolution.py",
        'd = per_axis("dilation", dilation, rank, 1)\n    p = conv_padding(',
        'd = per_axis("dilation", dilation, rank, 1)[::-1]\n    p = conv_padding(',
        "torch", "conv"),
    Bug("nothing accumulated wider", "geometry/arguments.py",
        "return np.dtype(np.float32) if dtype == np.float16 else dtype", "return dtype",
        "half", "conv_grad_input"),
    # ------------------------------------------------------------------ transposed convolution
    Bug("output padding dropped", SHAPES,
        "+ window_extent(k, d) + a", "+ window_extent(k, d)", "torch", "conv_transpose"),
    Bug("transposed convolution with a conjugate", "fast/transposed.py",
        "transposed(geo, w, x, b)", "transposed(geo, w.conj(), x, b)",
        "torch", "conv_transpose"),
    Bug("its input gradient without the conjugate", "fast/transposed.py",
        "correlate(geo, gy, conjugate(w))", "correlate(geo, gy, w)",
        "adjoint", "conv_transpose"),
    Bug("its weight gradient without the conjugate", "fast/transposed.py",
        "sum_over_outputs(geo, gy, conjugate(x))", "sum_over_outputs(geo, gy, x)",
        "adjoint", "conv_transpose"),
    Bug("transposed convolution summed in float16", "fast/transposed.py",
        "transposed(geo, w, x, b)",
        "transposed(geo, *(a if a is None else a.astype(geo.dtype) for a in (w, x, b)))",
        "half", "conv_transpose"),
    # ------------------------------------------------------------------ copies
    Bug("reflect repeats the edge", PADDING,
        "backward(before, left)", "backward(before - 1, left)", "torch", "pad"),
    Bug("reflect repeats the far edge", PADDING,
        "2 * (i - 1) - right[0]", "2 * i - 1 - right[0]", "torch", "pad"),
    Bug("circular off by one", PADDING,
        "slice(left[0] + turn, left[1] + turn)", "slice(left[0] + turn - 1, left[1] + turn - 1)",
        "torch", "pad"),
    Bug("circular turns by the uncropped size", PADDING,
        "turn = end - first", "turn = i", "torch", "pad"),
    Bug("replicate takes the last but one", PADDING,
        "slice(i - 1, i)", "slice(i - 2, i - 1)", "torch", "pad"),
    Bug("the value to pad with ignored", PADDING,
        "xp.copyto(y[block], fill)", "xp.copyto(y[block], 0)", "torch", "pad"),
    Bug("repeated edges counted once", PADDING,
        "share.sum(repeated", "share.mean(repeated", "adjoint", "pad"),
    Bug("gradients of one element overwrite each other", PADDING,
        "target += share.sum", "target[...] = share.sum", "adjoint", "pad"),
    Bug("padding given for the first axis first", "geometry/padding.py",
        "zip(flat[-2::-2], flat[::-2], strict=True)", "zip(flat[::2], flat[1::2], strict=True)",
        "torch", "pad"),
    Bug("padding before and after exchanged", "geometry/padding.py",
        "zip(flat[-2::-2], flat[::-2], strict=True)", "zip(flat[::-2], flat[-2::-2], strict=True)",
        "torch", "pad"),
    Bug("fold adds the first box only", "fast/folding.py",
        "for box in plan.boxes:", "for box in plan.boxes[:1]:", "direct", "fold"),
    Bug("fold sums in float16", "fast/folding.py",
        "geo.acc, zeros", "geo.dtype, zeros", "half", "fold"),
    # ------------------------------------------------------------------ maximum
    Bug("ties to the last", "engine/winners.py",
        "wins = xp.greater(v", "wins = xp.greater_equal(v", "torch", "max_pool"),
    Bug("NaN dropped", "engine/winners.py",
        "xp.maximum(best, v, out=best)", "xp.fmax(best, v, out=best)", "torch", "max_pool"),
    Bug("NaN leaves no index", "engine/winners.py",
        "xp.not_equal(v, v,", "xp.greater(v, v,", "torch", "max_pool"),
    Bug("windows that share a maximum overwrite each other", "engine/winners.py",
        "np.add.at if xp", "operator.setitem if xp", "torch", "max_pool_grad"),
    Bug("scattered sums kept in float16", "engine/winners.py",
        "geometry.accumulator(values.dtype)", "values.dtype", "half", "max_pool_scatter"),
    Bug("index of a window of -inf in the padding", "fast/max_pooling.py",
        "winner[...] = first_taps(xp, geo, box[1:], found)", "winner[...] = 0",
        "torch", "max_pool"),
    Bug("padding of zeros takes part", "fast/max_pooling.py",
        "best.fill(lowest(x.dtype))", "best.fill(0)", "torch", "max_pool"),
    Bug("indices forget the dilation", "fast/max_pooling.py",
        "xp.array([tap * d for", "xp.array([tap for", "torch", "max_pool"),
    Bug("sign of zero lost", "fast/max_pooling.py",
        "best[...] = gather(xs, at)", "best += 0", "torch", "max_pool"),
    Bug("indices transposed", "engine/planes.py",
        "math.prod(sizes[axis + 1 :])", "math.prod(sizes[:axis])", "torch", "max_pool"),
    Bug("last tap of the far side missed", "engine/visits.py",
        "-((k * d - p - i) // s)", "-((k * d - p - i + 1) // s)", "torch", "max_pool"),
    Bug("ceil mode adds a window where the size divides", SHAPES,
        "+ s - 1) // s + 1", "+ s) // s + 1", "torch", "max_pool"),
    Bug("ceil mode keeps a window in the padding", SHAPES,
        "return o - 1 if (o - 1) * s >= i + p else o", "return o", "torch", "avg_pool"),
    # ------------------------------------------------------------------ averages
    Bug("divisor not clipped", "fast/average_pooling.py",
        "xp.minimum(last, hi)", "last", "torch", "avg_pool"),
    Bug("divisor of the last window not clipped in ceil mode", "fast/average_pooling.py",
        "(-p, i + p) if", "(-p, i + p + s) if", "torch", "avg_pool_grad"),
    Bug("count_include_pad ignored", "fast/average_pooling.py",
        "if count_include_pad else (0, i)", "", "torch", "avg_pool"),
    Bug("gradient divided by the whole kernel", "fast/average_pooling.py",
        "divide(share, divisors(xp, geo, box, count_include_pad, override), share)",
        "divide(share, xp.array(functools.reduce(operator.mul, geo.k)), share)",
        "adjoint", "avg_pool"),
    Bug("sign of the divisor lost", "fast/average_pooling.py",
        "xp.full(tiles.extent(side), override)", "xp.full(tiles.extent(side), abs(override))",
        "torch", "avg_pool"),
    Bug("an average of -0", "fast/average_pooling.py",
        "parts += 0 ", "pass ", "torch", "avg_pool"),
    Bug("integer averages rounded down", "fast/average_pooling.py",
        "(inexact & below).astype(total.dtype)", "0", "direct", "avg_pool"),
    Bug("integer averages by way of float", "fast/average_pooling.py",
        "down = total // by", "down = xp.floor(total / by).astype(total.dtype)",
        "direct", "avg_pool"),
    Bug("averages by the reciprocal", "fast/average_pooling.py",
        "divide(total.view(real).reshape(parts.shape), divisor",
        "multiply(total.view(real).reshape(parts.shape), 1.0 / divisor", "torch", "avg_pool"),
    Bug("averages summed in float16", "fast/average_pooling.py",
        "geo.acc, \"total\"", "geo.dtype, \"total\"", "half", "avg_pool"),
    # ------------------------------------------------------------------ adaptive pools
    Bug("adaptive windows end too early where sizes do not divide", SHAPES,
        "-(-((j + 1) * i) // o)", "(j + 1) * i // o", "torch", "adaptive_max_pool"),
    Bug("adaptive windows start at even steps", SHAPES,
        "return j * i // o", "return j * (i // o)", "torch", "adaptive_avg_pool"),
    Bug("adaptive windows all of one size", "fast/adaptive_pooling.py",
        "Axis(first[None], end - first)", "Axis(first[None], 0 * end - (-i // o))",
        "torch", "adaptive_avg_pool"),
    Bug("adaptive gradient not divided", "fast/adaptive_pooling.py",
        "divide_in_turn(share, sizes, geo)", "pass", "adjoint", "adaptive_avg_pool"),
    Bug("an adaptive size of None taken for 1", "geometry/adaptive_pooling.py",
        "i if size is None else size", "1 if size is None else size",
        "torch", "adaptive_avg_pool"),
    Bug("taps beyond a window added twice", "engine/ragged.py",
        "xp.moveaxis(x, number, 0)[outside] = beyond", "pass",
        "torch", "adaptive_avg_pool_grad"),
    # ------------------------------------------------------------------ fractional, powers, unpool
    Bug("fractional sequence off by one", "fast/fractional_pooling.py",
        "j = xp.arange(o - 1)", "j = xp.arange(1, o)", "torch", "fractional_max_pool"),
    Bug("fractional samples in the order of the axes", "fast/fractional_pooling.py",
        "u = u[:, ::-1] if len(k) == 2 else u", "pass", "torch", "fractional_max_pool"),
    Bug("last fractional window not at the end", "fast/fractional_pooling.py",
        "(len(u), min(o, 1)), i - k)", "(len(u), min(o, 1)), i - k - 1)",
        "torch", "fractional_max_pool"),
    Bug("|x| where torch takes x", "fast/power_pooling.py",
        "power(x, p), kernel_size, stride",
        "power(abs(x), p), kernel_size, stride", "torch", "lp_pool"),
    Bug("partial windows summed where torch scales them", "fast/power_pooling.py",
        "v = times(avg_pool(power(x, p), kernel_size, stride, 0, ceil_mode), math.prod(geo.k))",
        "v = avg_pool(power(x, p), kernel_size, stride, 0, ceil_mode, divisor_override=1)",
        "torch", "lp_pool"),
    Bug("mathematical form scales partial windows", "fast/power_pooling.py",
        "v = avg_pool(u, kernel_size, stride, 0, ceil_mode, divisor_override=1)",
        "v = times(avg_pool(u, kernel_size, stride, 0, ceil_mode), math.prod(geo.k))",
        "direct", "lp_pool"),
    Bug("the norm of -inf takes the largest", "fast/power_pooling.py",
        "upward = math.copysign(1, p)", "upward = 1", "direct", "lp_pool"),
    Bug("gradient of a root at 0", "fast/power_pooling.py",
        "xp.where(v == 0, xp.zeros_like(gv),", "xp.where(False, xp.zeros_like(gv),",
        "direct", "lp_pool_grad"),
    Bug("gradient of a power without its exponent", "fast/power_pooling.py",
        "slope = times(power(x, p - 1), p)", "slope = power(x, p - 1)", "torch", "lp_pool_grad"),
    Bug("of duplicates the first stays", "engine/winners.py",
        "write(indices, values, planes, operator.setitem)",
        "write(indices[..., ::-1], values[..., ::-1], planes, operator.setitem)",
        "torch", "max_unpool"),
    Bug("strict gradient for those that were replaced", "fast/unpooling.py",
        "gx[gather(owner, at) != number] = 0", "gx[gather(owner, at) == number] = 0",
        "direct", "max_unpool_grad"),
    Bug("gradient for the last of duplicates only", "fast/unpooling.py",
        "    if strict:\n", "    if True:\n", "torch", "max_unpool_grad"),
    Bug("padding removed once from what is unpooled", SHAPES,
        "return (i - 1) * s - 2 * p + k\n", "return (i - 1) * s - p + k\n", "torch", "max_unpool"),
    # ------------------------------------------------------------------ what must be refused
    Bug("'same' taken with a stride", "geometry/convolution.py",
        "if any(v != 1 for v in s):", "if False:", "refused", "conv"),
    Bug("dtypes mixed", "geometry/arguments.py",
        "if b is not None and b.dtype != a.dtype:", "if False:", "refused", "conv"),
    Bug("output padding of a whole stride", "geometry/transposed.py",
        "a_ >= max(s_, d_)", "a_ > max(s_, d_)", "refused", "conv_transpose"),
    Bug("no channels taken", "geometry/max_pooling.py",
        "if min(x[1:]) < 1:", "if min(x[2:]) < 1:", "refused", "max_pool"),
    Bug("padding of half a dilated kernel", "geometry/max_pooling.py",
        "2 * before > size for before, size in zip(p, k, strict=True)",
        "2 * before > size * d_ for before, size, d_ in zip(p, k, d, strict=True)",
        "refused", "max_pool"),
    # ------------------------------------------------------------------ the definitions
    Bug("definition: input of the first group", "direct/convolution.py",
        "g * geo.c + c, *i)", "c, *i)", "torch", "conv"),
    Bug("definition: dilation of the wrong axis", "direct/convolution.py",
        "zip(o, geo.s, k, geo.d, geo.p, strict=True)",
        "zip(o, geo.s, k, geo.d[::-1], geo.p, strict=True)",
        "torch", "conv"),
    Bug("definition: summed in float16", "direct/convolution.py",
        "y = np.zeros(geo.y_shape, geo.acc)", "y = np.zeros(geo.y_shape, geo.dtype)",
        "half", "conv"),
    Bug("definition: one channel a group", "direct/transposed.py",
        "for m in range(geo.c):", "for m in range(1):", "torch", "conv_transpose"),
    Bug("definition: reflect repeats the edge", "direct/padding.py",
        "return -t if t < 0", "return -t - 1 if t < 0", "torch", "pad"),
    Bug("definition: circular past a crop", "direct/padding.py",
        "return first + (t - first) % (end - first)", "return t % i", "torch", "pad"),
    Bug("definition: fold overwrites", "direct/folding.py",
        "x[at_x] += cols[at_cols]", "x[at_x] = cols[at_cols]", "torch", "fold"),
    Bug("definition: ties to the last", "direct/max_pooling.py",
        "if x[i] > x[winner]", "if x[i] >= x[winner]", "torch", "max_pool"),
    Bug("definition: the first NaN wins", "direct/max_pooling.py",
        "or x[i] != x[i]:", "or x[i] != x[i] and x[winner] == x[winner]:", "torch", "max_pool"),
    Bug("definition: divisor not clipped", "direct/average_pooling.py",
        "first <= o_ * s - p + k_ < end for", "first <= o_ * s - p + k_ for", "torch", "avg_pool"),
    Bug("definition: adaptive windows end too early", "direct/adaptive_pooling.py",
        "((o_ + 1) * i + size - 1) // size", "(o_ + 1) * i // size", "torch", "adaptive_avg_pool"),
    Bug("definition: adaptive average summed in float16", "direct/adaptive_pooling.py",
        "y = np.zeros(geo.y_shape, geo.acc)", "y = np.zeros(geo.y_shape, geo.dtype)",
        "half", "adaptive_avg_pool"),
    Bug("definition: fractional sequence off by one", "direct/fractional_pooling.py",
        "int((number(j) + u) * alpha)", "int((number(j + 1) + u) * alpha)",
        "torch", "fractional_max_pool"),
    Bug("definition: |x| where torch takes x", "direct/power_pooling.py",
        "abs(v) if mathematical else v", "abs(v)", "torch", "lp_pool"),
    Bug("definition: the first of duplicates keeps its gradient", "direct/unpooling.py",
        "reversed(list(np.ndindex(geo.i)))", "list(np.ndindex(geo.i))",
        "direct", "max_unpool_grad"),
]  # fmt: skip


class _Loader(SourceFileLoader):
    """Loads a module of the package from its file, changed where the bug is."""

    bug: Bug | None = None

    def source_to_code(self, data: Any, path: Any, **options: Any) -> CodeType:
        source = Path(path).read_text(encoding="utf-8")
        assert self.bug is not None
        found = source.count(self.bug.right)
        assert found == 1, f"{self.bug.file} holds {self.bug.right!r} {found} times, expected once"
        return super().source_to_code(source.replace(self.bug.right, self.bug.wrong), path)  # type: ignore[arg-type]

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(b"", self.path)  # neither reads nor writes compiled files


class _Finder(MetaPathFinder):
    """Finds the file that the bug is in, and leaves all others to Python."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin != str(ROOT / self.bug.file):
            return None
        loader = _Loader(fullname, spec.origin)
        loader.bug, spec.loader = self.bug, loader
        return spec


def copy_with(bug: Bug) -> ModuleType:
    """Return a fresh copy of refconv with a bug; the imported package is put back behind it."""

    def loaded() -> dict[str, ModuleType]:
        return {k: v for k, v in sys.modules.items() if k.split(".")[0] == "refconv"}

    before, finder = loaded(), _Finder(bug)
    for name in before:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("refconv")
    finally:
        sys.meta_path.remove(finder)
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(before)
