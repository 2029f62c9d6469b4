"""An integer size and an array of three axes: (N, C, L) or (C, H, W)? It is refused, not guessed.

A picture of three channels, pooled along one axis, would be wrong in silence.
"""

from typing import Any

import numpy as np
import pytest

import refconv
from support import refconv_calls
from support.bugs.planting import Bug, copy_with

SAYS = r"(kernel|output)_size=\(2,\) for a batch \(N, C, L\), \1_size=\(2, 2\) for one image"
SIZES = [2, np.int64(2), np.uint8(2), np.array(2)]
TELLS = ("kernel_size", "output_size")  # the argument whose length sets the rank
OPEN = {
    name: next(size for size in TELLS if size in call)
    for name, call in refconv_calls.of_image((4, 8, 6)).items()
    if name != "fold" and any(size in call for size in TELLS)  # a fold's integer means two axes
}


def test_every_function_that_must_not_guess() -> None:
    assert len(OPEN) == 15
    assert "unfold" in OPEN
    assert "lp_pool_grad" in OPEN


@pytest.mark.parametrize("floor", refconv_calls.FLOORS)
@pytest.mark.parametrize("name", OPEN)
def test_three_axes_need_the_number_of_sizes(floor: Any, name: str) -> None:
    image = refconv_calls.of_image((4, 8, 6))[name]
    getattr(floor, name)(**image)  # two sizes: one image
    for size in SIZES:
        with pytest.raises(RuntimeError, match=SAYS) as caught:
            getattr(floor, name)(**image | {OPEN[name]: size})
        assert len(str(caught.value)) <= 300
    batch = refconv_calls.of_image((2, 4, 8, 6))[name]
    for size in SIZES:  # four axes leave nothing open
        if OPEN[name] == "kernel_size":
            getattr(floor, name)(**batch | {"kernel_size": size})


@pytest.mark.parametrize("floor", refconv_calls.FLOORS)
def test_other_numbers_of_axes_leave_nothing_open(floor: Any) -> None:
    line = np.ones((2, 6))  # (C, L)
    assert floor.max_pool(line, 2).shape == (2, 3)
    assert np.shape(getattr(floor.avg_pool(line, 2), "value", line[:, :3])) == (2, 3)
    assert floor.max_pool(line[None], (2,)).shape == (1, 2, 3)
    assert floor.max_pool(np.ones((2, 4, 6)), (2, 2)).shape == (2, 2, 3)
    assert floor.max_pool(np.ones((1, 1, 2, 4, 6)), 2).shape == (1, 1, 1, 2, 3)


def test_a_guess_is_seen() -> None:
    bug = Bug(
        "a guess", "geometry/arguments.py", "if len(shape) == 3:", "if len(shape) == 0:", "", ""
    )
    image = refconv_calls.of_image((4, 8, 6))["max_pool"]
    options = {name: 2 if name == "kernel_size" else 1 for name in ("kernel_size", "stride")}
    assert copy_with(bug).max_pool(image["x"], **options).shape == (4, 8, 5)  # one axis of two
    with pytest.raises(RuntimeError, match=SAYS):
        refconv.max_pool(image["x"], **options)
