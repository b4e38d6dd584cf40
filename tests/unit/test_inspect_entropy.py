# SPDX-License-Identifier: Apache-2.0
"""Coded values, their conditions and their entropy, against the specification's model."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnr_codec
from nnr_codec.inspect import Survey, UnitReport, summarize
from nnr_codec.inspect.read.coded_values import NEXT_STATE, coded_values, conditional_entropy, states_before
from nnr_codec.inspect.read.levels import level_statistics
from spec.model import tables
from spec.model.dependent_quantisation import after_zeros, level_of, next_state
from spec.model.scan import count_block_rows, segments_of_block_row


def three_way(value: int) -> int:
    return 0 if value == 0 else 1 if value < 0 else 2


def decoded_by_the_model(
    rows: int, width: int, dependent: bool, scan_order: int, skipped: list[bool], draw: np.random.Generator
) -> tuple[np.ndarray, list[int], list[int]]:
    """Levels of random values, the values in coding order and their conditions, one step at a time."""
    levels = np.zeros((rows, width), np.int32)
    values, conditions = [], []
    state = 0
    scan_order = scan_order if rows > 1 and width > 1 else 0
    for block_row in range(count_block_rows(rows, scan_order)):
        previous = 0
        for row, first, behind in segments_of_block_row(rows, width, scan_order, block_row):
            if skipped[row]:
                state = after_zeros(state, width) if dependent else 0
                continue
            for column in range(first, behind):
                value = int(draw.integers(-3, 4))
                values.append(value)
                conditions.append(3 * state + three_way(previous))
                levels[row, column] = level_of(value, state) if dependent else value
                state = next_state(state, value) if dependent else 0
                previous = value
    return levels, values, conditions


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.booleans(),
    st.integers(0, 4),
    st.floats(0, 1),
    st.integers(0, 1 << 30),
)
def test_values_and_conditions_are_those_of_the_model(
    rows: int, width: int, dependent: bool, scan_order: int, share: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    skipped = [bool(flag) for flag in draw.random(rows) < share]
    levels, values, conditions = decoded_by_the_model(rows, width, dependent, scan_order, skipped, draw)
    flags = bytes(skipped) if any(skipped) else b""
    coded = coded_values(levels, dependent=dependent, scan_order=scan_order, row_skip_flags=flags)
    assert coded.values.tolist() == values
    assert coded.conditions.tolist() == conditions


def test_the_state_machine_is_that_of_the_specification() -> None:
    assert NEXT_STATE == tables.NEXT_STATE


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 1000, 4097])
def test_states_of_any_length(n: int) -> None:
    parities = np.random.default_rng(n).integers(0, 2, n).astype(np.uint8)
    states = [0]
    for parity in parities.tolist():
        states.append(NEXT_STATE[states[-1]][parity])
    assert states_before(parities).tolist() == states[:-1]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-(1 << 30), 1 << 30), st.integers(0, 23)), min_size=1, max_size=60))
def test_entropy_is_that_of_its_definition(pairs: list[tuple[int, int]]) -> None:
    joint, marginal = Counter(pairs), Counter(condition for _, condition in pairs)
    bits = -sum(count * math.log2(count / marginal[pair[1]]) for pair, count in joint.items())
    values, conditions = zip(*pairs, strict=True)
    coded = coded_values(np.zeros((1, 1), np.int32), dependent=False)._replace(
        values=np.array(values, np.int32), conditions=np.array(conditions, np.uint8)
    )
    assert conditional_entropy(coded) == pytest.approx(bits, abs=1e-6)


def test_alternating_quantisers_do_not_cost_a_bit() -> None:
    # Constant values 1 give two different levels, one for each quantiser: 1 bit without the state, 0 with it.
    values = [1] * 4000
    state, levels = 0, []
    for value in values:
        levels.append(level_of(value, state))
        state = next_state(state, value)
    array = np.array([levels], np.int32)
    assert len(set(levels)) == 2
    assert level_statistics(array, dependent=True).entropy == pytest.approx(0, abs=1e-2)


def gaussian(n: int) -> np.ndarray:
    return np.random.default_rng(11).standard_normal((n // 200, 200)).astype(np.float32)


@pytest.mark.parametrize(("dependent", "qp"), list(itertools.product((False, True), (-24, -12))))
def test_the_coder_is_near_the_entropy_of_independent_weights(dependent: bool, qp: int) -> None:
    # Independent weights leave contexts nothing beyond the state to exploit: the figure predicts the stream's size.
    stream = nnr_codec.encode({"w": gaussian(60_000)}, dependent=dependent, qp=qp)
    [tensor] = summarize(Survey(stream)).tensors
    assert tensor.entropy is not None
    assert tensor.over_entropy == pytest.approx(0, abs=0.03)


def test_skipped_rows_have_no_entropy() -> None:
    weights = gaussian(20_000)
    weights[::2] = 0
    stream = nnr_codec.encode({"w": weights}, qp=-24)
    [account] = [
        t for p in Survey(stream) if isinstance(p, UnitReport) and p.payload for t in p.payload.tensors
    ]
    assert account.n_skipped_rows == weights.shape[0] // 2
    assert account.levels is not None
    half = nnr_codec.encode({"w": weights[1::2]}, qp=-24)
    [alone] = summarize(Survey(half)).tensors
    assert alone.entropy is not None
    assert account.levels.entropy == pytest.approx(alone.entropy / 2, rel=0.02)
