# SPDX-License-Identifier: Apache-2.0
"""Any model as people have it: types of arrays, sizes, limits, and updates whose shapes change or that fail."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnr_codec import (
    Decoder,
    Encoder,
    EncoderConfig,
    MalformedBitstream,
    NotEncodable,
    decode,
    describe,
    encode,
)
from nnr_codec.codec.encode import carriage, stream_writer
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.unit_index import UnitIndex
from nnr_codec.errors import LimitExceeded
from nnr_codec.model import DataUnit, Limits, PayloadType, StartUnit, TopologyUnit
from nnr_codec.syntax import SyntaxState, build_unit, iter_unit_spans, iter_units

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(0, 0.05, shape).astype(np.float32)


@st.composite
def arrays(draw: st.DrawFn, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    shape = draw(st.lists(st.integers(0, 3), max_size=7).map(tuple) | st.just((1,) * 32))
    dtype = np.dtype(
        draw(st.sampled_from(["f4", "f2", "f8", "u8", "i8", "u4", "i1", "?", "c8", "c16", "S3"]))
    )
    octets = rng.bytes(dtype.itemsize * math.prod(shape))
    if dtype.kind == "b":
        octets = bytes(octet & 1 for octet in octets)
    return np.frombuffer(octets, dtype).reshape(shape)


class TestTypes:
    def test_pytorch_tensors_work_as_they_are(self) -> None:
        torch = pytest.importorskip("torch")
        generator = torch.Generator().manual_seed(0)
        values = torch.randn(16, 16, generator=generator)
        model = {
            "half": values.bfloat16(),
            "parameter": torch.nn.Parameter(values.clone()),
            "transposed": values.double().T,
            "scalar": torch.tensor(7.0, dtype=torch.bfloat16),
            "eight": values.to(torch.float8_e4m3fn),
            "scale": torch.full((3,), 2.0).to(torch.float8_e8m0fnu),
            "count": torch.tensor(2**40),
            "wave": torch.polar(values.abs(), values).conj(),
            "flag": torch.tensor([True, False]),
        }
        decoder = Decoder()
        restored = decoder.decode(encode(model))
        assert list(restored) == list(model)
        assert dict(decoder.description.dtypes) == {
            "half": "BF16", "transposed": "F64", "scalar": "BF16", "eight": "F8_E4M3", "scale": "F8_E8M0",
            "count": "I64", "wave": "C64", "flag": "BOOL",
        }  # fmt: skip
        assert restored["count"] == 2**40
        assert np.array_equal(restored["wave"], model["wave"].resolve_conj().numpy())
        assert restored["scale"].tobytes() == model["scale"].view(torch.uint8).numpy().tobytes()
        for name in ("half", "parameter", "transposed", "scalar"):
            expected = model[name].detach().float().numpy()
            assert restored[name].shape == expected.shape
            assert np.abs(restored[name] - expected).max() < 0.2

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda torch: torch.eye(4).to_sparse(), ("'w'", "sparse", "to_dense")),
            (lambda torch: torch.eye(4).to_sparse_csr(), ("'w'", "sparse")),
            (lambda torch: torch.empty(3, device="meta"), ("'w'", "meta")),
            (
                lambda torch: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
                ("'w'", "quantised"),
            ),
        ],
    )
    @pytest.mark.filterwarnings("ignore")
    def test_tensors_without_an_array_are_named(
        self, make: Callable[[Any], Any], words: tuple[str, ...]
    ) -> None:
        torch = pytest.importorskip("torch")
        with pytest.raises(TypeError) as caught:
            encode({"w": make(torch)})
        assert all(word in str(caught.value) for word in words)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: encode([np.ones((2, 2))]), ("tensors", "list")),  # type: ignore[arg-type]
            (lambda: encode(np.ones((2, 2))), ("tensors", "ndarray")),  # type: ignore[arg-type]
            (lambda: encode({3: np.ones(2)}), ("names", "int")),  # type: ignore[dict-item]
            (lambda: encode({"odd": np.array([None])}), ("'odd'", "objects")),
            (lambda: decode(encode({"l0": np.ones((2, 2))}), names="l0"), ("names", "str")),
        ],
    )
    def test_a_wrong_argument_is_a_sentence(self, call: Callable[[], Any], words: tuple[str, ...]) -> None:
        with pytest.raises(TypeError) as caught:
            call()
        assert all(word in str(caught.value) for word in words)

    def test_patterns_come_as_a_mapping_too(self) -> None:
        model = {"l0": normal(8, 8)}
        assert encode(model, qp_by_name={"l*": 0}) == encode(model, qp_by_name=(("l*", 0),))

    def test_a_pattern_without_a_tensor_is_an_error(self) -> None:
        with pytest.raises(NotEncodable, match=r"'k\*'") as caught:
            encode({"l0": normal(8, 8)}, qp_by_name={"l*": 0, "k*": 3})
        assert caught.value.path == "k*"


class TestSize:
    @pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn, np.float32])
    @pytest.mark.parametrize("value", [np.nan, None])
    def test_one_odd_value_does_not_double_a_tensor(self, dtype: Any, value: float | None) -> None:
        w = normal(256, 256)
        if value is not None:
            w[1, 2] = value
        w = w.astype(dtype)
        stream = encode({"w": w})
        assert len(stream) <= 1.01 * w.nbytes + 1000
        restored = decode(stream)["w"]
        assert np.array_equal(np.isnan(restored), np.isnan(w.astype(np.float32)))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
    def test_noise_grows_by_a_hundredth_at_most(self, dtype: Any) -> None:
        noise = np.frombuffer(RNG.bytes(1 << 17), dtype)
        stream = encode({"noise": noise})
        assert len(stream) <= 1.01 * noise.nbytes + 1000
        assert np.array_equal(decode(stream)["noise"], noise)

    def test_a_float32_tensor_that_does_not_compress_goes_raw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(carriage, "_SLACK_BYTES", -100_000)
        w = normal(100, 100)
        stream = encode({"w": w}, scan_order=1)
        [unit] = [unit for _, unit, _ in iter_units(stream) if isinstance(unit, DataUnit)]
        assert unit.header.payload_type is PayloadType.NNR_PT_RAW_FLOAT
        assert np.array_equal(decode(stream)["w"], w)

    def test_an_enormous_payload_is_carried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(carriage, "_MAX_PAYLOAD_BYTES", 1000)
        w = normal(100, 100)
        stream = encode({"w": w})
        assert not [unit for _, unit, _ in iter_units(stream) if isinstance(unit, DataUnit)]
        assert np.array_equal(decode(stream)["w"], w)


class TestOrder:
    INFINITE = np.array([np.inf, 1], np.float32)

    def payloads(self, stream: bytes) -> list[str]:
        kinds = []
        for _, unit, _ in iter_units(stream):
            if isinstance(unit, DataUnit):
                kinds.append(unit.header.payload_type.name)
            elif isinstance(unit, TopologyUnit):
                kinds.append("topology")
        return kinds

    def test_the_only_raw_unit_is_the_last_unit(self) -> None:
        model = {
            "a": normal(8, 8),
            "raw": self.INFINITE,
            "b": normal(8, 8),
            "none": np.zeros((0, 2), np.float32),
        }
        stream = encode(model)
        assert self.payloads(stream)[-1] == "NNR_PT_RAW_FLOAT"
        assert list(decode(stream)) == list(model)
        assert [name for name, _ in Decoder().iterate(stream)] == ["a", "b", "none", "raw"]
        assert [tensor.name for tensor in describe(stream).tensors] == list(model)
        assert list(decode(stream, names=["raw", "b"])) == ["raw", "b"]

    def test_several_raw_units_stay_in_their_places(self) -> None:
        model = {"a": normal(8, 8), "r": self.INFINITE, "s": self.INFINITE, "b": normal(8, 8)}
        stream = encode(model)
        assert [name for name, _ in Decoder().iterate(stream)] == list(model)
        assert "topology" not in self.payloads(stream)
        later = {"a": normal(8, 8), "r": self.INFINITE, "b": normal(8, 8), "s": self.INFINITE}
        assert list(decode(encode(later, checksum=True), require_checksum=True)) == list(later)


class TestLimits:
    def test_a_large_constant_tensor_is_no_bomb(self) -> None:
        zeros = np.zeros((100, 1_000_000), np.float32)
        stream = encode({"zeros": zeros})
        restored = decode(stream)["zeros"]
        assert restored.shape == zeros.shape
        assert not restored.any()
        assert len(stream) < 2000

    @pytest.mark.slow
    def test_many_tensors_are_read(self) -> None:
        """More than 2^16 names, as rules and as a reference list."""
        one = np.ones(1, np.int32)
        model = {f"a.rather.long.name.of.a.tensor.{i}": one for i in range(70_000)}
        for reference_list in (False, True):
            stream = encode(model, effort="fast", reference_list=reference_list)
            restored = decode(stream)
            assert restored.keys() == model.keys()

    def test_more_tensors_than_a_decoder_reads_are_refused(self) -> None:
        class Endless(Mapping[str, Any]):
            def __len__(self) -> int:
                return 1 << 19

            def __iter__(self) -> Iterator[str]:
                raise AssertionError("the names are not looked at")

            def __getitem__(self, name: str) -> Any:
                raise AssertionError("the tensors are not looked at")

        with pytest.raises(NotEncodable, match="524288 tensors"):
            encode(Endless())

    @pytest.mark.parametrize(
        ("name", "array"),
        [
            ("many", np.zeros((1,) * 33, np.float32)),
            ("n" * 4097, np.ones(2)),
            ("\ud800", np.ones(2)),
            ("a\0", np.ones(2)),
        ],
    )
    def test_what_no_decoder_reads_is_refused_and_named(self, name: str, array: np.ndarray[Any, Any]) -> None:
        with pytest.raises(NotEncodable) as caught:
            encode({"fine": np.ones(2, np.float32), name: array})
        assert caught.value.path is not None
        assert caught.value.path.startswith((name[:4], repr(name)))

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_what_the_encoder_writes_the_decoder_reads(self, data: st.DataObject) -> None:
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        names = data.draw(
            st.lists(
                st.one_of(st.text(max_size=20), st.integers(1, 4096).map(lambda n: "x" * n)),
                unique=True,
                max_size=12,
            )
        )
        metadata = data.draw(
            st.dictionaries(
                st.text(max_size=20) | st.integers(4000, 5000).map(lambda n: "k" * n),
                st.text(max_size=20) | st.integers(4000, 70_000).map(lambda n: "v" * n),
                max_size=6,
            )
        )
        model = {name: data.draw(arrays(rng)) for name in names}
        options: dict[str, Any] = {"peer_compatible": data.draw(st.booleans())}
        naming = data.draw(st.sampled_from([None, "reference_list", "short_names"]))
        if naming is not None:
            options[naming] = True
        try:
            with np.errstate(all="ignore"):
                stream = encode(model, metadata=metadata, **options)
        except NotEncodable as error:
            assert error.path is not None
            assert any("\0" in name or not name.isprintable() for name in names)
            return
        decoder = Decoder()
        restored = decoder.decode(stream)
        assert list(restored) == list(model)
        assert decoder.description.metadata == metadata
        for name, array in model.items():
            assert restored[name].shape == array.shape
            assert restored[name].dtype == array.dtype
            if array.dtype.kind in "iubcS":
                assert restored[name].tobytes() == array.tobytes()

    @pytest.mark.slow
    def test_ten_thousand_small_tensors_take_three_seconds(self) -> None:
        model = {f"layers.{i}.attention.q_proj.lora_up.weight": normal(6, 4) for i in range(10_000)}
        start = time.process_time()
        stream = encode(model)
        # Loaded machines take up to twice the processor time of idle ones.
        assert time.process_time() - start < 6
        assert len(decode(stream)) == len(model)


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
            encoder.encode(model, file=Full())  # type: ignore[arg-type]
        assert encoder.encode(model) == twin.encode(model)

    @pytest.mark.parametrize("missed", [1, 2])
    def test_a_decoder_that_missed_an_update_names_it(self, missed: int) -> None:
        encoder = Encoder(self.CONFIG)
        series = [encoder.encode({"w": normal(64, 64)}) for _ in range(4)]
        decoder = Decoder()
        for stream in series[: 2 - missed]:
            decoder.decode(stream)
        with pytest.raises(MalformedBitstream, match=r"update 2 of 'w'.*missing") as caught:
            decoder.decode(series[2])
        assert caught.value.element == "put_node_depth"
        assert caught.value.bit_offset is not None

    def test_carried_tensors_take_part_in_no_series(self) -> None:
        encoder, decoder = Encoder(self.CONFIG), Decoder()
        for step in range(3):
            update = {"step": np.array(2**40 + step), "w": normal(8, 8), "inf": TestOrder.INFINITE}
            restored = decoder.decode(encoder.encode(update))
            assert restored["step"] == 2**40 + step
            assert list(restored) == list(update)


class Broken:
    """An array that can be described and not read."""

    dtype, shape = np.dtype(np.float32), (8, 8)

    def __init__(self) -> None:
        self.reads = 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        self.reads += 1
        if self.reads > 1:
            raise OSError("disk")
        return normal(8, 8)


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
        model |= {"1": normal(3), "raw": TestOrder.INFINITE, "0": normal(3), "words": np.array([2**40])}
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
        with pytest.raises(MalformedBitstream, match="none of 2") as caught:
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

    def test_limits_of_encoder_and_decoder_are_one(self) -> None:
        assert Limits() == stream_writer._DEFAULTS
