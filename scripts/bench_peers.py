"""Other ways to convolve with NumPy, those that are installed: what people write, and libraries."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from bench_cases import Layer, arrays, square
from bench_timing import Calls, compare

import refconv

LAYERS = (square(64, 56, 64, 3, 1, 1), square(128, 28, 128, 3, 1, 1), square(256, 14, 256, 3, 1, 1))
BATCH = {"onnx.reference": 1, "HIPS autograd": 1, "scipy.signal": 1}  # the others take eight images


class Peer(NamedTuple):
    """A way to convolve, and how many times as fast we mean to be."""

    name: str
    goal: float
    convolve: Callable[[Any, Any, int], Any]  # x, w, padding


def windows(x: Any, w: Any, p: int) -> Any:
    """Return the windows of x, (N, C, o, o, k, k), as a view."""
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))


def im2col(x: Any, w: Any, p: int) -> Any:
    """Windows side by side, and one matrix product an image."""
    view = windows(x, w, p)
    n, c, oh, ow, kh, kw = view.shape
    columns = view.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow)
    return (w.reshape(len(w), -1) @ columns).reshape(n, len(w), oh, ow)


def einsum(x: Any, w: Any, p: int) -> Any:
    """One sum over windows, in the order that NumPy finds best."""
    return np.einsum("ncyxij,mcij->nmyx", windows(x, w, p), w, optimize=True)


def tensordot(x: Any, w: Any, p: int) -> Any:
    """The same as a tensor product."""
    return np.tensordot(windows(x, w, p), w, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def scipy(x: Any, w: Any, p: int) -> Any:
    """Every map with every kernel."""
    correlate = importlib.import_module("scipy.signal").correlate
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return np.array(
        [[sum(correlate(a, b, "valid", "direct") for a, b in zip(image, kernel, strict=True))
          for kernel in w] for image in padded]
    )  # fmt: skip


def autograd(x: Any, w: Any, p: int) -> Any:
    """HIPS autograd's convolution."""
    convolve = importlib.import_module("autograd.scipy.signal").convolve
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    flipped = np.ascontiguousarray(w[:, :, ::-1, ::-1])
    return convolve(padded, flipped, axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid")


def onnx(x: Any, w: Any, p: int) -> Any:
    """ONNX's reference operator."""
    model = importlib.import_module("onnx.reference.ops.op_conv")
    return model.Conv.eval(x, w, pads=[p, p, p, p], kernel_shape=list(w.shape[2:]))


def peers() -> Iterator[Peer]:
    """Yield those that are installed."""
    yield from (
        Peer("im2col", 2, im2col),
        Peer("einsum", 2, einsum),
        Peer("tensordot", 2, tensordot),
    )
    for module, peer in (
        ("scipy", Peer("scipy.signal", 40, scipy)),
        ("autograd", Peer("HIPS autograd", 40, autograd)),
        ("onnx", Peer("onnx.reference", 40, onnx)),
    ):
        if importlib.util.find_spec(module):
            yield peer


def calls(peer: Peer, layer: Layer) -> Calls:
    """Return a layer's forward by refconv and by a peer, which must find the same."""
    batch = BATCH.get(peer.name, 8)
    x, w = arrays("float32", (batch, layer.c, *layer.i), (layer.m, layer.c, layer.k, layer.k))
    ours = refconv.conv(x, w, None, 1, layer.p)
    theirs = np.asarray(peer.convolve(x, w, layer.p))
    assert np.abs(ours - theirs).max() < 1e-2, peer.name
    return Calls(lambda: refconv.conv(x, w, None, 1, layer.p), lambda: peer.convolve(x, w, layer.p))


def table(rounds: int) -> list[str]:
    """Return how many times as long each takes as refconv does, forward, in float32."""
    lines = [
        "| | goal | " + " | ".join(layer.name for layer in LAYERS) + " |",
        "|---|---|" + "---|" * len(LAYERS),
    ]
    for peer in peers():
        ratios = []
        for layer in LAYERS:
            timing = compare(calls(peer, layer), 1 if peer.name in BATCH else rounds)
            ratios.append(f"{timing.torch / timing.ours:.1f}")
        lines.append(f"| {peer.name} | {peer.goal:g} | {' | '.join(ratios)} |")
        print(lines[-1], flush=True)
    return lines
