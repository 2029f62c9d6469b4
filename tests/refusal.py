"""Bad calls, made to torch too: the same exception, and a message that names what was wrong."""

import re
from typing import Any

import pytest
from torch.nn import functional as F

from torch_ext import functional


def says(error: BaseException, words: Any) -> None:
    """Assert that a message names all of these, as words of their own."""
    for word in words:
        assert re.search(rf"(?<![\w.]){re.escape(str(word))}(?!\w)", str(error)), (word, error)


def refused(name: str, *args: Any, words: Any, **options: Any) -> None:
    """Assert that torch and torch_ext refuse alike, the latter with these words."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011  which one is what is asked
        getattr(F, name)(*args, **options)
    with pytest.raises(theirs.type) as ours:
        getattr(functional, name)(*args, **options)
    assert ours.type is theirs.type
    says(ours.value, words)
