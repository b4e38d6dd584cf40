# SPDX-License-Identifier: Apache-2.0
"""Series of updates with changed shapes, failed calls and missed updates."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, Encoder, EncoderConfig, MalformedBitstream

RNG = np.random.default_rng(0)
INFINITE = np.array([np.inf, 1], np.float32)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(0, 0.05, shape).astype(np.float32)


class TestUpdates:
    CONFIG = EncoderConfig(incremental=True, effort="fast")

    @pytest.mark.parametrize("shape", [(64, 12), (32, 20), (640,), (10, 64)])
    def test_a_tensor_of_another_shape_begins_a_node(self, shape: tuple[int, ...]) -> None:
        encoder, decoder = Encoder(self.CONFIG), Decoder()
        for update in ({"head": normal(64, 10)}, {"head": normal(64, 10)}, {"head": normal(*shape)},
                       {"head": normal(*shape)}, {"head": normal(64, 10)}):  # fmt: skip
            restored = decoder.decode(encoder.encode(update))
            assert restored["head"].shape == update["head"].shape
            assert np.abs(restored["head"] - update["head"]).max() < 0.02

    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_failed_update_leaves_the_encoder_as_it_was(self, threads: int) -> None:
        good, bad = {"a": normal(8, 8), "b": normal(8, 8)}, {"a": normal(8, 8), "b": Broken()}
        encoder, twin, decoder = Encoder(self.CONFIG, threads=threads), Encoder(self.CONFIG), Decoder()
        decoder.decode(encoder.encode(good))
        twin.encode(good)
        with pytest.raises(OSError, match="disk"):
            encoder.encode(bad)
        stream = encoder.encode(good)
        assert stream == twin.encode(good)
        assert decoder.decode(stream).keys() == good.keys()

    def test_a_failed_write_leaves_the_encoder_as_it_was(self) -> None:
        class Full:
            def write(self, octets: bytes) -> int:
                if len(octets) > 40:
                    raise OSError("no space")
                return len(octets)

        model = {"a": normal(8, 8), "b": normal(8, 8)}
        encoder, twin = Encoder(self.CONFIG), Encoder(self.CONFIG)
        with pytest.raises(OSError, match="no space"):
            encoder.encode(model, file=Full())  # type: ignore[arg-type] - a file that only fails
        assert encoder.encode(model) == twin.encode(model)

    @pytest.mark.parametrize("missed", [1, 2])
    def test_a_decoder_that_missed_an_update_names_it(self, missed: int) -> None:
        encoder = Encoder(self.CONFIG)
        series = [encoder.encode({"w": normal(64, 64)}) for _ in range(4)]
        decoder = Decoder()
        for stream in series[: 2 - missed]:
            decoder.decode(stream)
        with pytest.raises(MalformedBitstream, match="was not sent") as caught:
            decoder.decode(series[2])
        assert caught.value.element == "put_node_depth"
        assert caught.value.bit_offset is not None

    def test_carried_tensors_take_part_in_no_series(self) -> None:
        encoder, decoder = Encoder(self.CONFIG), Decoder()
        for step in range(3):
            update = {"step": np.array(2**40 + step), "w": normal(8, 8), "inf": INFINITE}
            restored = decoder.decode(encoder.encode(update))
            assert restored["step"] == 2**40 + step
            assert list(restored) == list(update)


class Broken:
    """Array that can be described but not read."""

    dtype, shape = np.dtype(np.float32), (8, 8)

    def __init__(self) -> None:
        self.reads = 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        self.reads += 1
        if self.reads > 1:
            raise OSError("disk")
        return normal(8, 8)
