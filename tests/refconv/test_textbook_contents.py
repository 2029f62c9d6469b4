"""From the number of every equation and step to its function and back, and the sets of letters."""

import inspect
import pydoc
import re
from collections.abc import Callable
from typing import Any

import pytest

from refconv import textbook
from refconv.textbook import EQUATIONS, ERRATA, STEPS, network

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: value for name in textbook.__all__ if callable(value := getattr(textbook, name))
}
PRINTED = {printed.__name__ for printed, _ in ERRATA.values()}
NUMBERED = {**EQUATIONS, **STEPS}

# refconv's letter -> torch's name, as the package's docstring has them
TORCH = {
    "x": "input", "w": "weight", "b": "bias", "y": "output", "gy": "grad_output",
    "gx": "grad_input", "gw": "grad_weight", "gb": "grad_bias", "k": "kernel_size", "s": "stride",
}  # fmt: skip


def text(function: Callable[..., Any]) -> str:
    """The docstring in one line."""
    return " ".join((function.__doc__ or "").split())


def after(word: str, function: Callable[..., Any]) -> str:
    """What a docstring says from a word such as "Source:" on, to the end of its paragraph."""
    docstring = inspect.cleandoc(function.__doc__ or "")
    found = re.findall(rf"^{word}: (.*?)(?=^[A-Z]\w+:|^$|\Z)", docstring, re.M | re.S)
    assert len(found) == 1, f"{function.__name__} has {len(found)} times {word}:"
    return " ".join(found[0].split())


def numbers(function: Callable[..., Any]) -> set[str]:
    """The numbers that a Source names."""
    return set(re.findall(r"\(\d+\)|\bN\d+\b", after("Source", function)))


# --- numbers ------------------------------------------------------------------------------------


def test_every_equation_and_step_has_a_row() -> None:
    assert list(EQUATIONS) == [f"({n})" for n in range(1, 23)]
    assert list(STEPS) == [f"N{n}" for n in range(1, 10)]
    assert list(ERRATA) == [f"E{n}" for n in range(1, 10)]


def test_each_has_a_function_of_its_own() -> None:
    own = [functions[0].__name__ for functions in NUMBERED.values()]
    assert len(own) == len(set(own)) == 31


@pytest.mark.parametrize("number", NUMBERED)
def test_from_its_number_to_functions_whose_source_names_it(number: str) -> None:
    for function in NUMBERED[number]:
        assert getattr(textbook, function.__name__) is function
        assert number in numbers(function), function.__name__


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - PRINTED))
def test_from_a_function_back_to_its_rows(name: str) -> None:
    rows = {number for number, functions in NUMBERED.items() if FUNCTIONS[name] in functions}
    assert numbers(FUNCTIONS[name]) == rows
    assert rows or "Pooling Layer" in after("Source", FUNCTIONS[name])


@pytest.mark.parametrize("number", ERRATA)
def test_an_erratum_is_marked_and_leads_to_the_right_form_and_back(number: str) -> None:
    printed, right = ERRATA[number]
    assert printed.__name__ == f"{right.__name__}_as_printed"
    assert printed.__module__ == "refconv.textbook.errata"
    erratum = after("Erratum", printed)
    assert erratum.startswith(f"{number}, ")
    assert f"Right: `{right.__name__}`" in erratum
    assert re.findall(r"erratum (E\d)", text(right)) == [number]
    assert "Source:" not in text(printed)


def test_what_is_wrong_is_never_imported_by_what_is_right() -> None:
    for function in FUNCTIONS.values():
        if function.__name__ not in PRINTED:
            assert not PRINTED & set(vars(inspect.getmodule(function)))


# --- letters ------------------------------------------------------------------------------------


def letters(function: Callable[..., Any]) -> tuple[list[str], list[str], list[str]]:
    """The three sets, cut into words; the arrow is one of them."""
    text_, ours, torch = after("Letters", function).rstrip(".").split(" | ")
    return text_.split(), ours.split(), torch.split()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_three_sets_of_letters(name: str) -> None:
    """As many of each, the arrow at one place, and each of refconv's with its name in torch."""
    theirs, ours, torch = letters(FUNCTIONS[name])
    assert theirs.index("->") == ours.index("->") == torch.index("->")
    assert len(theirs) == len(ours) == len(torch)
    known = {"-": "-", "->": "->", **TORCH}
    assert [known[letter] for letter in ours] == torch


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_array_has_its_letter(name: str) -> None:
    theirs = letters(FUNCTIONS[name])[0]
    plain = {re.sub(r"\^.*|rot180\((\w)\)", r"\1", letter) for letter in theirs}
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    arrays = {p.name for p in parameters if p.annotation == "ArrayLike"}
    lists = {p.name for p in parameters if p.annotation == "Sequence[ArrayLike]"}
    assert arrays | {name.removesuffix("s") for name in lists} <= plain


def test_most_parameters_are_arrays_by_their_annotation() -> None:
    """Else the test above would look at nothing."""
    annotations = [
        parameter.annotation
        for function in FUNCTIONS.values()
        for parameter in inspect.signature(function).parameters.values()
    ]
    assert annotations.count("ArrayLike") > len(annotations) / 2


def test_the_table_of_letters_is_the_package_s() -> None:
    for ours, torch in TORCH.items():
        assert re.search(rf"^    \S.*  {ours} +{torch}$", textbook.__doc__ or "", re.M), ours


# --- help() -------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [textbook, network, textbook.errata], ids=lambda m: m.__name__)
def test_help_has_lines_that_fit(thing: Any) -> None:
    lines = pydoc.plain(pydoc.render_doc(thing)).splitlines()
    assert [line for line in lines if len(line) > 120] == []
