"""A transaction as a client sees it, blocking or asyncio.

Source: transactions as in JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from dslab.kit.errors import UsageError
from dslab.linda.values import Handle

Space = TypeVar("Space", bound=Handle)


class Transaction(Generic[Space]):
    """Several operations that happen at once: call it with a space to get that space within it.

    Args:
        number: What its connection calls it.
        space: Gives a space, by its number, within a transaction.
    """

    def __init__(self, number: int, space: Callable[[int, Transaction[Space]], Space]) -> None:
        self._number = number
        self._space = space
        self._ended = False

    def __call__(self, space: Handle) -> Space:
        """Give a space as this transaction sees it."""
        return self._space(space.number, self)

    @property
    def number(self) -> int:
        """What its connection calls it, for one more request.

        Raises:
            UsageError: It has ended.
        """
        if self._ended:
            raise UsageError(
                "The transaction of this tuple space has ended.",
                remedy="Use the space itself, or the space in a new transaction.",
            )
        return self._number

    def end(self) -> int:
        """Let it have no more requests but the one that ends it: gives its number."""
        self._ended = True
        return self._number


def check_outside(transaction: object, operation: str) -> None:
    """Let an operation that no transaction can undo not seem to be part of one.

    Raises:
        UsageError: The space is seen within a transaction.
    """
    if transaction is not None:
        raise UsageError(
            f"{operation} cannot be part of a transaction.", remedy="Call it on the space itself, outside."
        )
