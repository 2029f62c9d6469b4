"""The page docs/speed.md, from the results of one run, or of one for each set of kernels."""

from collections.abc import Sequence
from pathlib import Path

import bench_goals
from bench_report import Results, cells, groups, header, summary

REASONS = Path(__file__).parents[1] / "docs" / "speed-reasons.md"

HEAD = """# Speed

Written by `scripts/bench.py --write docs/speed.md`, or by runs with `--json` and then `--load`, as
here: two rounds with either of OpenBLAS's kernels. All numbers are that command's. A ratio is
ours / torch's: refconv against PyTorch's native CPU kernels, the same threads for both in the same
run, in alternating blocks (`scripts/bench_timing.py` tells how), the median of the rounds, and in
parentheses the lowest and the highest of them. Times are milliseconds. Backward is all gradients,
though a first layer needs none of its image; "both" is forward and backward together, but for the
means over ResNet-50, whose second column is backward alone. MiB is the scratch memory of a thread
(`tests/refconv/test_scratch.py` holds it below 4 for every operator, with all temporary arrays).
Bold ratios meet their goal; a star marks a row that falls short of one.

`refconv` uses as many threads as NumPy's BLAS has (`OPENBLAS_NUM_THREADS`, or `threadpoolctl`), and
its results have the same bits at any number of them. NumPy's wheel picks OpenBLAS's kernels by
processor; on some AVX-512 machines it picks AVX2 ones (`Haswell`), and
`OPENBLAS_CORETYPE=SkylakeX` in the environment, before NumPy is imported, can double the speed.
`.venv/bin/python -m refconv config` says which kernels are in use. Both are measured here where the
processor has both."""


def page(results: Sequence[Results]) -> str:
    """Return docs/speed.md."""
    text = [HEAD, "", "## Goals"]
    for found in results:
        text += ["", f"### {found.kernels} kernels", "", f"On {found.environment}:", ""]
        text += bench_goals.table(found.rows)
        if added := bench_goals.of_torch_ext(found.rows):
            text += ["", f"torch_ext adds to refconv's own time, in microseconds: {added}."]
        text += ["", *summary(found.rows)]
    text += ["", REASONS.read_text().rstrip()]
    first = results[0]
    titles = {
        "profiles": "Where the time goes, in what is farthest from its goal",
        "peers": "Other ways to convolve: how many times our time they take, forward, float32",
        "scaling": "Growth",
    }
    for name, title in titles.items():
        if name in first.tables:
            text += ["", f"## {title}", "", *first.tables[name]]
    for found in results:
        text += ["", f"## Case by case, {found.kernels} kernels"]
        for group, dtype, rows in groups(found.rows):
            text += ["", f"### {group}, {dtype}", "", *header(group), *map(cells, rows)]
    return "\n".join(text) + "\n"
