"""Bad calls, made to torch too: the same exception, its sentence, and what was wrong by name."""

import re
from typing import Any

import pytest
from torch.nn import functional as F

from torch_ext import functional

LONGEST = 300  # of our part of a message


def says(error: BaseException, words: Any) -> None:
    """Assert that our part of a message names all of these, as words of their own, and is short."""
    said = str(error).partition("\ntorch: ")[0]
    assert len(said) <= LONGEST, said
    for word in words:
        assert re.search(rf"(?<![\w.]){re.escape(str(word))}(?!\w)", said), (word, error)


def raised(call: Any, *args: Any, **options: Any) -> Exception | None:
    """Return the exception of a call, if it raises one."""
    try:
        call(*args, **options)
    except Exception as error:
        return error
    return None


def sentence(error: BaseException) -> str:
    """Return a message of torch's without the stack that some have after it."""
    return str(error).partition("\nException raised from")[0]


def refused(name: str, *args: Any, words: Any, **options: Any) -> None:
    """Assert that torch and torch_ext refuse alike: torch's type and sentence, and these words."""
    theirs = raised(getattr(F, name), *args, **options)
    assert theirs is not None, "torch takes it"
    with pytest.raises(type(theirs)) as ours:
        getattr(functional, name)(*args, **options)
    assert ours.type is type(theirs)
    assert sentence(theirs) in str(ours.value)
    says(ours.value, words)


def ours_alone(error: type[Exception], name: str, *args: Any, words: Any, **options: Any) -> None:
    """Assert that torch_ext refuses with this error and these words what torch takes."""
    assert raised(getattr(F, name), *args, **options) is None
    with pytest.raises(error) as ours:
        getattr(functional, name)(*args, **options)
    assert ours.type is error
    says(ours.value, words)
