"""Calls that must fail, and how: with torch's exception, and a message that says what is wrong."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch


class Bad(NamedTuple):
    """A call that must fail: the arguments, and what the message must say."""

    arguments: dict[str, Any]
    says: str


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


def to_torch(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the same arguments for torch, where x is called input."""
    tensors = {
        name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
        for name, v in arguments.items()
    }
    return {"input" if name == "x" else name: v for name, v in tensors.items()}


def fails_alike(
    ours: list[Callable[..., Any]],
    theirs: Callable[..., Any],
    arguments: dict[str, Any],
    says: str,
) -> None:
    """Check that torch fails, and both forms with the same type and a message that says so."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 - the type is what is being found
        theirs(**to_torch(arguments))
    for function in ours:
        with pytest.raises(expected.type) as error:
            function(**arguments)
        assert error.type in (
            TypeError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            ZeroDivisionError,
        )
        assert error.type is expected.type
        assert re.search(says, str(error.value)), str(error.value)
