"""The built wheel holds both packages, whole, and runs from anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str, cwd: Path, path: str = "") -> str:
    """Run Python with these arguments; return what it printed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git tracks, and unpack it as an installer would."""
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), cwd=source)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_every_module_and_marker_is_in_the_wheel(installed: Path) -> None:
    for package in ("refconv", "torch_ext"):
        expected = {p.relative_to(ROOT) for p in (ROOT / package).rglob("*.py")}
        expected.add(Path(package, "py.typed"))
        found = {p.relative_to(installed) for p in (installed / package).rglob("*") if p.is_file()}
        assert found == expected


def test_it_imports_and_checks_parity_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    where = run(
        "-c", "import torch_ext; print(torch_ext.__file__)", cwd=tmp_path, path=str(installed)
    )
    assert Path(where.strip()).is_relative_to(installed)
    arguments = ("--op", "avg_pool1d", "--dtype", "float64", "--cases", "2")
    printed = run("-m", "torch_ext.parity", *arguments, cwd=tmp_path, path=str(installed))
    assert "avg_pool1d" in printed


def test_refconv_alone_needs_no_torch(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, refconv, refconv.exact, refconv.textbook\n"
        "print(refconv.conv(np.ones((1, 1, 3)), np.ones((1, 1, 2))).tolist())"
    )
    assert run("-c", code, cwd=tmp_path, path=str(installed)).strip() == "[[[2.0, 2.0]]]"
