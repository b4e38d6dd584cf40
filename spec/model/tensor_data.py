# SPDX-License-Identifier: Apache-2.0
"""5.3 Tensor data: levels of one tensor."""

from __future__ import annotations

from dataclasses import dataclass

from .arithmetic import ArithmeticDecoder
from .contexts import (
    GREATER,
    SIGN,
    SIGN_BASE,
    SIGNIFICANCE,
    SIGNIFICANCE_BASE,
    SIGNIFICANCE_HISTORY,
    ContextSet,
    three_way,
)
from .dependent_quantisation import after_zeros, level_of, next_state
from .scan import count_block_rows, segments_of_block_row

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True)
class EntryPoint:
    """3.2.4 Start of a block row; ``difference`` is its distance in bits from the block row before."""

    offset: int
    dq_state: int
    difference: int


@dataclass(frozen=True)
class TensorCoding:
    """Parameters of the tensor data of one tensor.

    Attributes
    ----------
    codebook_size, zero_offset : int
        0 without a codebook and in profile 0.
    base : list of int, rows * width, or None
        Levels of the previous update; None where the temporal context is off.
    seen : list of bool, rows * width, or None
        History of each position; None without a previous update.
    entry_points : list of EntryPoint or None
        None to decode straight through.

    Clause: 5.3
    """

    rows: int
    width: int
    profile: int
    unary_length: int
    dependent: bool
    scan_order: int
    codebook_size: int
    zero_offset: int
    parent_node_id_present: bool
    base: list[int] | None
    seen: list[bool] | None
    entry_points: list[EntryPoint] | None


class TensorData:
    """Decoder of the tensor data of one tensor; ``levels`` are in row-major order."""

    def __init__(self, engine: ArithmeticDecoder, coding: TensorCoding) -> None:
        self.engine = engine
        self.coding = coding
        self.contexts = ContextSet(coding.unary_length)
        self.levels = [0] * (coding.rows * coding.width)
        self.skipped = [False] * coding.rows
        self.history = False
        has_blocks = coding.rows > 1 and coding.width > 1
        self.scan_order = coding.scan_order if has_blocks else 0
        self.state = 0  # of dependent quantisation (5.4); 0 without it
        self.previous = 0  # n, the coded value of the position before (5.2)
        size, zero = coding.codebook_size, coding.zero_offset
        self.one_sided = size > 0 and zero in (0, size - 1)
        self.largest_positive = size - zero - 1 if size else None
        self.largest_negative = zero if size else None

    def decode(self) -> list[int]:
        """Decode the tensor; return its levels, row-major."""
        coding, engine = self.coding, self.engine
        if coding.profile == 1 and coding.width > 1 and coding.rows > 1 and coding.codebook_size != 1:
            self._row_skips_and_history()
        self._initialisation_parameters()
        n_block_rows = count_block_rows(coding.rows, self.scan_order)
        if n_block_rows > 1:
            engine.narrow()
        start = engine.bit_position
        self._block_row(0)
        if coding.entry_points is None or n_block_rows < 2:
            for block_row in range(1, n_block_rows):
                self._start_block_row()
                self._block_row(block_row)
        else:
            # From the last block row to the first, so that a block row cannot depend on the ones above it. The codeword
            # continues behind the last one.
            end = (engine.bit_position, engine.offset, engine.range)
            places = [start]
            for point in coding.entry_points:
                places.append(places[-1] + point.difference)
            for block_row in range(n_block_rows - 1, 0, -1):
                point = coding.entry_points[block_row - 1]
                engine.enter(places[block_row], point.offset)
                self._start_block_row()
                self.state = point.dq_state
                self._block_row(block_row)
                if block_row == n_block_rows - 1:
                    end = (engine.bit_position, engine.offset, engine.range)
            engine.bit_position, engine.offset, engine.range = end
        return self.levels

    # 5.3.1

    def _row_skips_and_history(self) -> None:
        engine, coding = self.engine, self.coding
        if coding.parent_node_id_present:
            engine.element = "hist_dep_sig_prob_enabled_flag"
            self.history = engine.bypass() == 1
        engine.element = "row_skip_enabled_flag"
        if engine.bypass() == 1:
            engine.element = "row_skip_flag"
            model = self.contexts.models[self.contexts.row_skip]
            self.skipped = [engine.regular(model) == 1 for _ in range(coding.rows)]

    # 5.3.2

    def _initialisation_parameters(self) -> None:
        coding, contexts = self.coding, self.contexts
        size, unary = coding.codebook_size, coding.unary_length
        limit = max(coding.zero_offset, size - 1 - coding.zero_offset)
        temporal = coding.base is not None
        codes_levels = size != 1

        def group(start: int, count: int, signalled: bool) -> list[tuple[int, bool]]:
            return [(start + index, signalled) for index in range(count)]

        order = group(SIGNIFICANCE, 24 if coding.dependent else 3, codes_levels)
        if temporal:
            order += group(SIGNIFICANCE_BASE, 16 if coding.dependent else 2, codes_levels)
        if self.history:
            order += group(SIGNIFICANCE_HISTORY, 8 if coding.dependent else 1, codes_levels)
        order += group(SIGN, 5 if temporal else 3, codes_levels and not self.one_sided)
        for a in range(2 * unary):
            order.append((GREATER + a, size == 0 or a < 2 * limit))
        if temporal:
            for a in range(2 * unary, 4 * unary):
                order.append((GREATER + a, size == 0 or a < 2 * (limit - 1) + 2 * unary))
        for a in range(31):
            reached = unary - 1 + (2 ** (a + 1) - 1)
            order.append((contexts.exp_golomb + a, size == 0 or reached < limit))
        for index, signalled in order:
            if signalled:
                self._initialisation_parameter(index)

    def _initialisation_parameter(self, index: int) -> None:
        engine, contexts = self.engine, self.contexts
        engine.element = "context_initialisation_flag"
        if engine.regular(contexts.models[contexts.initialisation_flag]) == 1:
            engine.element = "context_initialisation"
            contexts.models[index].initialise(1 + engine.uae(3))

    # 5.5

    def _start_block_row(self) -> None:
        self.contexts.reset()
        self.previous = 0
        if self.coding.entry_points is None:
            self.engine.narrow()

    def _block_row(self, block_row: int) -> None:
        coding, levels = self.coding, self.levels
        if coding.codebook_size == 1:
            return
        for row, begin, end in segments_of_block_row(coding.rows, coding.width, self.scan_order, block_row):
            if self.skipped[row]:
                if coding.dependent:
                    self.state = after_zeros(self.state, coding.width)
                continue
            for position in range(row * coding.width + begin, row * coding.width + end):
                levels[position] = self._level(position)

    # 5.3.3

    def _level(self, position: int) -> int:
        coding = self.coding
        base = 0 if coding.base is None else coding.base[position]
        seen = self.history and coding.seen is not None and coding.seen[position]
        value = self._coded_value(base, seen)
        self.previous = value
        level = value
        if coding.dependent:
            level = level_of(value, self.state)
            self.state = next_state(self.state, value)
        if not INT32_MIN <= level <= INT32_MAX:
            raise self.engine.malformed("a level does not fit 32 bits", "5.3")
        return level

    def _coded_value(self, base: int, seen: bool) -> int:
        engine, models = self.engine, self.contexts.models
        if seen:
            index = SIGNIFICANCE_HISTORY + self.state  # precedes the base (decision 0013)
        elif base != 0:
            index = SIGNIFICANCE_BASE + 2 * self.state + (1 if abs(base) > 1 else 0)
        else:
            index = SIGNIFICANCE + 3 * self.state + three_way(self.previous)
        engine.element = "sig_flag"
        if engine.regular(models[index]) == 0:
            return 0
        if self.one_sided:
            negative = self.coding.zero_offset != 0
        else:
            index = SIGN_BASE + (1 if base > 0 else 0) if base != 0 else SIGN + three_way(self.previous)
            engine.element = "sign_flag"
            negative = engine.regular(models[index]) == 1
        largest = self.largest_negative if negative else self.largest_positive
        magnitude = self._magnitude(base, negative, largest)
        if largest is not None and magnitude > largest:
            raise engine.malformed("a value outside the codebook", "5.3")
        return -magnitude if negative else magnitude

    def _magnitude(self, base: int, negative: bool, largest: int | None) -> int:
        engine, contexts = self.engine, self.contexts
        models = contexts.models
        value = 1
        more = largest is None or largest > 1
        if not more:
            return value
        engine.element = "abs_level_greater_flag"
        for j in range(self.coding.unary_length):
            if base != 0:
                index = contexts.greater_base + 2 * j + (1 if abs(base) < j else 0)
            else:
                index = GREATER + 2 * j + (1 if negative else 0)
            flag = engine.regular(models[index])
            value += flag
            more = flag == 1 and (largest is None or value < largest)
            if not more:
                return value
        engine.element = "abs_level_exp_golomb_prefix"
        k = 0
        for j in range(31):
            if engine.regular(models[contexts.exp_golomb + j]) == 0:
                break
            value += 1 << k
            k += 1
            if largest is not None and value + (1 << k) > largest:
                break
        engine.element = "abs_level_exp_golomb_suffix"
        return value + engine.uae(k)
