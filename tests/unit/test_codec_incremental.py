# SPDX-License-Identifier: Apache-2.0
"""Series of updates through an Encoder and a Decoder that keep state."""

import numpy as np
import pytest

from nnr_codec import Decoder, Encoder, EncoderConfig, MalformedBitstream, decode


def updates(count: int = 5) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    where = rng.random((20, 30)) < 0.3
    series = []
    for number in range(count):
        w = (rng.normal(0, 0.2, (20, 30)) * where).astype(np.float32)
        if number == 2:
            w[:] = 0
        series.append({"w": w, "b": rng.normal(0, 0.2, 11).astype(np.float32)})
    return series


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("scan_order", [0, 1])
def test_a_series_comes_back(temporal: bool, history: bool, scan_order: int) -> None:
    config = EncoderConfig(
        incremental=True,
        qp=-12,
        qp_1d=-12,
        temporal_context=temporal,
        history_context=history,
        scan_order=scan_order,
    )
    encoder, decoder = Encoder(config), Decoder()
    for number, update in enumerate(updates()):
        decoded = decoder.decode(encoder.encode(update))
        expected = {"b"} if number == 2 else {"w", "b"}
        assert set(decoded) == expected
        for name in decoded:
            assert np.abs(decoded[name] - update[name]).max() < 0.3


def test_contexts_from_earlier_updates_pay() -> None:
    def total(**options: bool) -> int:
        encoder = Encoder(EncoderConfig(incremental=True, qp=-12, qp_1d=-12, **options))
        return sum(len(encoder.encode(update)) for update in updates())

    assert total() < total(temporal_context=False, history_context=False)


def test_a_series_entered_in_the_middle_is_noticed() -> None:
    encoder = Encoder(EncoderConfig(incremental=True, qp=-12))
    series = [encoder.encode(update) for update in updates()]
    decoder = Decoder()
    decoder.decode(series[0])
    with pytest.raises(MalformedBitstream) as caught:
        decoder.decode(series[3])
    assert caught.value.element == "put_node_depth"


def test_a_stream_that_is_no_update_needs_no_state() -> None:
    first = Encoder(EncoderConfig(incremental=True, qp=-12)).encode(updates()[0])
    assert set(decode(first)) == {"w", "b"}
