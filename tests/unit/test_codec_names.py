# SPDX-License-Identifier: Apache-2.0
"""Names stored once: reference lists, and short names with the full names in a carrier."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import EncoderConfig, LimitExceeded, Limits, MalformedBitstream, decode, describe, encode
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.model import StartUnit
from nnr_codec.syntax import SyntaxState, build_unit, iter_unit_spans

RNG = np.random.default_rng(0)
INFINITE = np.array([np.inf, 1], np.float32)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(0, 0.05, shape).astype(np.float32)


class TestReferenceList:
    def test_names_travel_once(self) -> None:
        model = {f"layers.{i}.attention.weight": normal(6, 4) for i in range(50)}
        stream = encode(model, reference_list=True)
        assert stream.count(b"attention.weight") == 50
        assert list(decode(stream)) == list(model)
        assert [tensor.name for tensor in describe(stream).tensors] == list(model)
        assert list(decode(stream, names=["layers.7.attention.weight"])) == ["layers.7.attention.weight"]

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_list_of_fewer_than_two_names_is_none(self, count: int) -> None:
        model = {"w": normal(4, 4)} if count else {}
        assert decode(encode(model, reference_list=True)).keys() == model.keys()

    @pytest.mark.parametrize("suffix", ["", ".idx"])
    def test_short_names_stand_for_the_full_ones(self, tmp_path: Path, suffix: str) -> None:
        model: dict[str, Any] = {f"layers.{i}.attention.weight": normal(6, 4) for i in range(50)}
        model |= {"1": normal(3), "raw": INFINITE, "0": normal(3), "words": np.array([2**40])}
        stream = encode(model, short_names=True)
        assert len(stream) < len(encode(model)) - 900
        path = tmp_path / "m.nnr"
        path.write_bytes(stream)
        if suffix:
            with open(f"{path}{suffix}", "wb") as file:
                assert UnitIndex.write(path, file) == len(model)
        assert list(decode(path)) == list(model)
        assert [tensor.name for tensor in describe(path).tensors] == list(model)
        for name in ("1", "0", "layers.7.attention.weight", "raw", "words"):
            assert np.array_equal(decode(path, names=[name])[name], decode(encode(model))[name])

    def test_a_short_name_without_a_full_one_is_malformed(self) -> None:
        model = {"first": normal(3), "second": normal(3)}
        units = list(iter_unit_spans(stream := encode(model, short_names=True)))
        octets = [stream[span.byte_offset : span.byte_offset + span.size_bytes] for span in units]
        octets[-1] = octets[-1].replace(b"1\0", b"2\0", 1)
        with pytest.raises(MalformedBitstream, match="none of the full names") as caught:
            decode(b"".join(octets))
        assert (caught.value.element, caught.value.bit_offset) == (
            "topology_elem_id",
            8 * units[-1].byte_offset,
        )

    @pytest.mark.parametrize(
        ("names", "limits"),
        [("a\0b\0c", Limits(max_names=2)), ("a\0long", Limits(max_name_bytes=3)), ("a\0b\0a", None)],
    )
    def test_a_list_of_names_is_checked(self, names: str, limits: Limits | None) -> None:
        [unit] = carrier_units(CarriedKind.NAMES, "", names.encode())
        state = SyntaxState(general_profile_idc=1)
        stream = build_unit(StartUnit(1), SyntaxState()) + build_unit(unit, state)
        with pytest.raises(MalformedBitstream if limits is None else LimitExceeded) as caught:
            decode(stream, limits=limits)
        assert caught.value.path == "nnr_unit[1].topology_data"

    def test_a_list_and_short_names_exclude_each_other(self) -> None:
        with pytest.raises(ValueError, match="short"):
            EncoderConfig(reference_list=True, short_names=True)
