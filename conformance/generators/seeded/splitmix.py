# SPDX-License-Identifier: Apache-2.0
"""SplitMix64 with the methods of ``random.Random`` that the generators use, so that no library decides the bits of a stream."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")
_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def state_of(name: str) -> int:
    """Return the initial state of a name: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


class SplitMix64(random.Random):
    """SplitMix64 generator of a name; every method draws by integer arithmetic of this module.

    >>> rng = SplitMix64("example")
    >>> rng.randint(1, 6), rng.choice("abc"), rng.getrandbits(70) < 1 << 70, rng.random() < 1
    (1, 'a', True, True)
    """

    def __init__(self, name: str) -> None:
        super().__init__(0)
        self._state = state_of(name)

    def next(self) -> int:
        """Draw 64 bits."""
        self._state = (self._state + _GAMMA) & _MASK
        z = self._state
        z = ((z ^ z >> 30) * _FIRST) & _MASK
        z = ((z ^ z >> 27) * _SECOND) & _MASK
        return z ^ z >> 31

    def getrandbits(self, k: int, /) -> int:
        """Draw k bits, 64 at a time, the first most significant."""
        value = 0
        for _ in range((k + 63) // 64):
            value = value << 64 | self.next()
        return value >> -k % 64

    def random(self) -> float:
        """Draw a multiple of 2^-53 in [0, 1)."""
        return (self.next() >> 11) * 2.0**-53

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """Draw an integer; the bias of a count that is no power of two is below count / 2^64."""
        if step != 1:
            raise ValueError("a step other than 1 is not supported")
        first, count = (0, start) if stop is None else (start, stop - start)
        if not 0 < count <= 1 << 64:
            raise ValueError(f"no range of {count} integers")
        return first + (self.next() * count >> 64)

    def randint(self, a: int, b: int) -> int:
        """Draw an integer from a to b."""
        return self.randrange(a, b + 1)

    def choice(self, seq: Any) -> Any:
        """Draw an item."""
        return seq[self.randrange(len(seq))]

    def randbytes(self, n: int) -> bytes:
        """Draw n bytes."""
        return self.getrandbits(8 * n).to_bytes(n, "big")


def uniform64(name: str, n: int) -> NDArray[np.uint64]:
    """Return the first n draws of `SplitMix64` of a name.

    >>> int(uniform64("example", 2)[1]) == [rng.next() for rng in [SplitMix64("example")] for _ in range(2)][1]
    True
    """
    steps = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GAMMA)
    z = steps + np.uint64(state_of(name))
    z = (z ^ z >> np.uint64(30)) * np.uint64(_FIRST)
    z = (z ^ z >> np.uint64(27)) * np.uint64(_SECOND)
    result: NDArray[np.uint64] = z ^ z >> np.uint64(31)
    return result


def pick(rng: random.Random, items: Sequence[_T], number: int) -> list[_T]:
    """Draw ``number`` different items, in order of their positions."""
    remaining = list(range(len(items)))
    chosen = sorted(remaining.pop(rng.randrange(len(remaining))) for _ in range(number))
    return [items[index] for index in chosen]
