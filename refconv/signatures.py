"""Signatures that `help()` prints in lines one can read: a parameter a line, types by their names.

Spelled out, `Array` alone would take 70 characters, and a function's head a thousand.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 80
ARRAY = "numpy.ndarray[tuple[typing.Any, ...], numpy.dtype[typing.Any]]"
SHORT = {
    ARRAY: "Array",
    "Union[int, collections.abc.Sequence[int]]": "Ints",
    "int | collections.abc.Sequence[int]": "Ints",
    "collections.abc.": "",
    "torch.Tensor": "Tensor",
    "typing.": "",
}


def named(text: str) -> str:
    """Return a text in which types have their short names."""
    for spelled, name in SHORT.items():
        text = text.replace(spelled, name)
    return text


class Signature(inspect.Signature):
    """A signature that is printed over several lines where one would be too long."""

    def __str__(self) -> str:
        """Return the parameters in parentheses and what is returned."""
        parts: list[str] = []
        for parameter in self.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
                parts.append("*")
            part = named(str(parameter))
            parts.append(part if len(part) <= WIDTH else f"{part[: WIDTH - 3]}...")
        tail = ""
        if self.return_annotation is not self.empty:
            tail = f" -> {named(inspect.formatannotation(self.return_annotation))}"
        line = f"({', '.join(parts)}){tail}"
        if len(line) <= WIDTH:
            return line
        return "(\n    " + ",\n    ".join(parts) + f",\n){tail}"

    def format(self, **_: Any) -> str:
        """Return the same: what Python 3.13 and later ask for."""
        return str(self)


def shorten(names: Iterable[str], where: Mapping[str, Any]) -> None:
    """Give the functions and classes of these names signatures that are printed so."""
    for name in names:
        thing = where[name]
        if inspect.isclass(thing):
            methods = [n for n in vars(thing) if n in ("__init__", "__new__") or n[0] != "_"]
            shorten(methods, {n: getattr(thing, n) for n in methods})
        if inspect.isfunction(thing) or inspect.isclass(thing):
            found = inspect.signature(thing)
            parameters = list(found.parameters.values())
            shortened = Signature(parameters, return_annotation=found.return_annotation)
            setattr(thing, "__signature__", shortened)  # noqa: B010 - typeshed knows none
