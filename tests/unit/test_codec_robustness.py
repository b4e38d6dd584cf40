# SPDX-License-Identifier: Apache-2.0
"""Input models of every kind: array types, sizes, order and limits."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnr_codec import (
    Decoder,
    NotEncodable,
    decode,
    describe,
    encode,
)
from nnr_codec.codec.encode import carriage, stream_writer
from nnr_codec.model import DataUnit, Limits, PayloadType, TopologyUnit
from nnr_codec.syntax import iter_units

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
            (lambda: encode([np.ones((2, 2))]), ("tensors", "list")),  # type: ignore[arg-type] - the wrong type is the test
            (lambda: encode(np.ones((2, 2))), ("tensors", "ndarray")),  # type: ignore[arg-type] - the wrong type is the test
            (lambda: encode({3: np.ones(2)}), ("names", "int")),  # type: ignore[dict-item] - the wrong type is the test
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

    def test_limits_of_encoder_and_decoder_are_one(self) -> None:
        assert Limits() == stream_writer._DEFAULTS
