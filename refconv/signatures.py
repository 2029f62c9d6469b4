"""Signatures that `help()` prints in lines one can read: a parameter a line, types by their names.

Spelled out, `Array` alone would take 70 characters, and a function's head a thousand.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 80
ARRAY = "numpy.ndarray[tuple[typing.Any, ...], numpy.dtype[typing.Any]]"
SHORT = {
    ARRAY: "Array",
    "Union[int, collections.abc.Sequence[int]]": "Ints",
    "int | collections.abc.Sequence[int]": "Ints",
    "collections.abc.": "",
    "collections.abc.Sequence[int]": "Sequence[int]",
    "torch.Tensor": "Tensor",
    "typing.": "",
}


class Signature(inspect.Signature):
    """A signature that is printed over several lines where one would be too long."""

    def __str__(self) -> str:
        """Return the parameters in parentheses and what is returned."""
        text = super().__str__()
        for spelled, name in SHORT.items():
            text = text.replace(spelled, name)
        if len(text) <= WIDTH:
            return text
        parts = []
        for parameter in self.parameters.values():
            alone = str(parameter)
            for spelled, name in SHORT.items():
                alone = alone.replace(spelled, name)
            if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
                parts.append("*")
            parts.append(alone if len(alone) <= WIDTH else f"{alone[: WIDTH - 3]}...")
        returned = re.search(r"\) -> (.*)$", text)
        tail = f" -> {returned.group(1)}" if returned else ""
        return "(\n    " + ",\n    ".join(parts) + f",\n){tail}"


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
