"""How a bug is planted: in one file of a fresh copy of the package, which `copy_with` makes.

The package that is imported stays as it is. A snippet must occur exactly once in its file, so that
no row can rot.
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
