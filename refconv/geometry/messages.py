"""Values in messages: short for every value."""

import reprlib
from typing import Any

LONGEST = 80  # characters of one value; three of them and what is said of them are one message
FEW = 8  # elements that are shown one by one


class Short(reprlib.Repr):
    """Writes tuples and lists up to eight elements, and integers of up to 128 bits, as they are.

    >>> Short().repr((2**128, 5))
    '(<integer of 129 bits>, 5)'
    """

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxarray = FEW
        self.maxother = LONGEST

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits, or how many bits they take."""
        bits = x.bit_length()
        return repr(x) if bits <= 128 else f"<integer of {bits} bits>"


def shown(value: Any) -> str:
    """Return a value for a message: arrays and tensors of many elements by shape.

    >>> import numpy as np
    >>> shown(np.zeros((3, 8)))
    'an array of shape (3, 8)'
    >>> shown(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, 6, 7, ...]'
    """
    shape = getattr(value, "shape", ())
    if isinstance(shape, tuple) and not _few(shape):
        text = f"an array of shape {Short().repr(tuple(shape))}"
    else:
        text = " ".join(Short().repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _few(shape: tuple[Any, ...]) -> bool:
    """Return whether the array is one axis of a few elements, or none."""
    return len(shape) < 2 and all(isinstance(size, int) and size <= FEW for size in shape)
