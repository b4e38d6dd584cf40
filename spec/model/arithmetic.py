# SPDX-License-Identifier: Apache-2.0
"""5.1 The arithmetic decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import Malformed, Truncated
from .tables import INITIALISATIONS, RANGE_LPS, STEP


class Context:
    """5.1.3 Adaptive probability model: a fast and a slow estimator with their shifts."""

    __slots__ = ("index", "s0", "s1", "shift0", "shift1", "start0", "start1")

    def __init__(self, index: int) -> None:
        self.index = index
        self.initialise(0)

    def initialise(self, which: int) -> None:
        """Take initialisation ``which``, 0 to 8, and reset to it."""
        self.shift0, self.shift1, s_sum, self.start0 = INITIALISATIONS[which]
        self.start1 = s_sum - 16 * self.start0
        self.reset()

    def reset(self) -> None:
        """Restore the estimators of the last initialisation."""
        self.s0 = self.start0
        self.s1 = self.start1

    def update(self, bin_value: int) -> None:
        """5.1.4 Update both estimators with the bin."""
        s0, s1 = self.s0, self.s1
        if bin_value:
            self.s0 = s0 + (STEP[16 + (s0 >> 3)] >> self.shift0)
            self.s1 = s1 + (STEP[16 + (s1 >> 7)] >> self.shift1)
        else:
            self.s0 = s0 - (STEP[16 + (-s0 >> 3)] >> self.shift0)
            self.s1 = s1 - (STEP[16 + (-s1 >> 7)] >> self.shift1)


@dataclass(frozen=True)
class BinTrace:
    """State of the decoder after one bin; ``context``, ``s0`` and ``s1`` are None without a context."""

    index: int
    kind: str
    context: int | None
    range: int
    offset: int
    bin: int
    bit_position: int
    s0: int | None
    s1: int | None
    element: str


class ArithmeticDecoder:
    """Arithmetic decoder of one codeword.

    ``bit_position`` is the number of bits read. Invariant between bins: 256 <= range <= 510 and offset < range.

    Parameters
    ----------
    codeword : bytes
        The payload of the unit, or the joined payloads of its parts.
    path : str
        Path of the unit, for errors.
    absolute : callable
        Maps a bit of the codeword to its offset in the stream.
    observe : callable, optional
        Receives a ``BinTrace`` after each bin.
    """

    def __init__(
        self,
        codeword: bytes,
        path: str,
        absolute: Callable[[int], int],
        observe: Callable[[BinTrace], None] | None = None,
    ) -> None:
        self.path = path
        self.absolute = absolute
        self.observe = observe
        self.element = ""  # current syntax element, for traces only
        self.n_bins = 0
        self.bits = [(byte >> shift) & 1 for byte in codeword for shift in range(7, -1, -1)]
        self.bit_position = 0
        self.range = 510
        self.offset = 0
        for _ in range(9):
            self.offset = 2 * self.offset + self._read_bit()
        self._check_interval()

    def _read_bit(self) -> int:
        if self.bit_position == len(self.bits):
            raise Truncated(
                "the codeword ends before its last bin",
                path=self.path,
                bit_offset=self.absolute(self.bit_position),
                clause="5.1",
            )
        self.bit_position += 1
        return self.bits[self.bit_position - 1]

    def _check_interval(self) -> None:
        if self.offset >= self.range:
            raise self.malformed("the codeword points outside the coding interval", "5.1")

    def malformed(self, message: str, clause: str) -> Malformed:
        """Return an error at the next bit to be read."""
        return Malformed(message, path=self.path, bit_offset=self.absolute(self.bit_position), clause=clause)

    def _observed(self, kind: str, context: Context | None, bin_value: int) -> None:
        if self.observe is not None:
            self.observe(
                BinTrace(
                    index=self.n_bins,
                    kind=kind,
                    context=None if context is None else context.index,
                    range=self.range,
                    offset=self.offset,
                    bin=bin_value,
                    bit_position=self.bit_position,
                    s0=None if context is None else context.s0,
                    s1=None if context is None else context.s1,
                    element=self.element,
                )
            )
        self.n_bins += 1

    def regular(self, context: Context) -> int:
        """5.1.2 Decode a regular bin."""
        s_sum = context.s1 + 16 * context.s0
        less_probable = RANGE_LPS[(self.range >> 5) & 7][abs(s_sum >> 7)]
        more_probable = self.range - less_probable
        bin_value = 1 if s_sum >= 0 else 0
        if self.offset < more_probable:
            self.range = more_probable
        else:
            self.offset -= more_probable
            self.range = less_probable
            bin_value = 1 - bin_value
        while self.range < 256:
            self.range *= 2
            self.offset = 2 * self.offset + self._read_bit()
        context.update(bin_value)
        self._observed("regular", context, bin_value)
        return bin_value

    def bypass(self) -> int:
        """5.1.5 Decode a bypass bin."""
        self.offset = 2 * self.offset + self._read_bit()
        bin_value = 0
        if self.offset >= self.range:
            self.offset -= self.range
            bin_value = 1
        self._observed("bypass", None, bin_value)
        return bin_value

    def uae(self, count: int) -> int:
        """1.4 Decode uae(count): bypass bins, the first most significant."""
        value = 0
        for _ in range(count):
            value = 2 * value + self.bypass()
        return value

    def iae(self, count: int) -> int:
        """1.4 Decode iae(count): the bins of uae(count) as two's complement."""
        value = self.uae(count)
        return value - (1 << count) if value >> (count - 1) else value

    def terminate(self) -> int:
        """5.1.6 Decode a terminating bin."""
        self.range -= 2
        bin_value = 1 if self.offset >= self.range else 0
        while bin_value == 0 and self.range < 256:
            self.range *= 2
            self.offset = 2 * self.offset + self._read_bit()
        self._observed("terminate", None, bin_value)
        return bin_value

    def finish(self) -> None:
        """5.1.7 Check the end of the codeword: terminating bin, stop bit, padding, end of the unit."""
        self.element = "end_of_codeword"
        if self.terminate() != 1:
            raise self.malformed("the terminating bin is 0", "5.1")
        if self.bits[self.bit_position - 1] != 1:
            self.bit_position -= 1
            raise self.malformed("the stop bit is 0", "5.1")
        while self.bit_position & 7:
            if self._read_bit() != 0:
                self.bit_position -= 1
                raise self.malformed("a padding bit after the stop bit is 1", "5.1")
        if self.bit_position != len(self.bits):
            raise self.malformed("bytes follow the end of the codeword", "5.1")

    # 5.5 block rows

    def narrow(self) -> None:
        """5.5.1 Set the range to 256, so that 8 bits describe the offset."""
        self.range = 256
        self._check_interval()

    def enter(self, bit_position: int, offset: int) -> None:
        """5.5.2 Continue at an entry point."""
        if not 9 <= bit_position <= len(self.bits):
            raise self.malformed("an entry point outside the codeword", "5.5")
        self.bit_position = bit_position
        self.offset = offset
        self.narrow()
