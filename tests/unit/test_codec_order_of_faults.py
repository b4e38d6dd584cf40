# SPDX-License-Identifier: Apache-2.0
"""The reported fault, and the output before it, do not depend on the number of threads."""

import io
import time
from pathlib import Path

import numpy as np
import pytest

from nnr_codec import (
    BitstreamError,
    Decoder,
    LimitExceeded,
    Limits,
    MalformedBitstream,
    NotEncodable,
    decode,
    encode,
)
from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.topology_reader import TopologyReader
from nnr_codec.syntax import iter_unit_spans
from tools.damage.cases import damaged, n_cases
from tools.damage.model_worker import Sequence
from tools.damage.native import verdict

SUITES = Path(__file__).parents[2] / "conformance" / "suites"

TENSORS = {
    f"layer.{i}": np.random.default_rng(i).normal(0, 1, (60, 60)).astype(np.float32) for i in range(40)
}


@pytest.fixture(scope="module")
def two_faults() -> bytes:
    """A payload cut short inside its unit, and far behind it a header of a reserved type."""
    stream = bytearray(encode(TENSORS, effort="fast"))
    spans = list(iter_unit_spans(bytes(stream)))
    early, late = spans[6], spans[36]
    stream[early.byte_offset + early.size_bytes - 1] = 0
    stream[late.byte_offset + late.header_offset + 1] |= 0xF8
    return bytes(stream)


def test_any_number_of_threads_reports_the_first_fault(two_faults: bytes) -> None:
    outcomes = []
    for threads in (1, 2, 4):
        names: list[str] = []
        with pytest.raises(BitstreamError) as caught:
            names.extend(name for name, _ in Decoder(threads=threads).iterate(two_faults))
        outcomes.append((caught.value.path, caught.value.bit_offset, names))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0][0] is not None
    assert outcomes[0][0].startswith("nnr_unit[6]")
    assert outcomes[0][2] == list(TENSORS)[:4]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_decoding_may_stop_in_the_middle(threads: int) -> None:
    stream = encode(TENSORS, effort="fast", threads=threads)
    assert stream == encode(TENSORS, effort="fast")
    for _ in range(5):
        tensors = Decoder(threads=threads).iterate(stream)
        assert next(tensors)[0] == "layer.0"
        tensors.close()
    assert list(decode(stream, threads=threads)) == list(TENSORS)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_first_tensor_that_cannot_be_encoded_is_reported(threads: int) -> None:
    wrong = np.array([1e30], np.float32)
    output = io.BytesIO()
    tensors = {**TENSORS, "layer.20": wrong, "layer.30": wrong}
    with pytest.raises(NotEncodable) as caught:
        encode(tensors, effort="fast", qp=-32, describe_source=False, threads=threads, file=output)
    assert caught.value.path == "layer.20"
    assert len(list(iter_unit_spans(output.getvalue()))) == 2 + 20


def test_a_deadline_names_one_place() -> None:
    stream = encode(TENSORS, effort="fast")
    spans = {f"nnr_unit[{span.index}]": span for span in iter_unit_spans(stream)}
    with pytest.raises(LimitExceeded) as caught:
        decode(stream, limits=Limits(max_seconds=0.0))
    assert caught.value.path is not None
    assert caught.value.bit_offset is not None
    span = spans[caught.value.path]
    assert span.byte_offset <= caught.value.bit_offset // 8 <= span.byte_offset + span.size_bytes


def test_a_small_unit_is_malformed_before_units_are_too_many() -> None:
    stream = bytes.fromhex("80000004") + bytes.fromhex("00040000") * 4
    for most in (1000, 2):
        with pytest.raises(MalformedBitstream) as caught:
            decode(stream, limits=Limits(max_units=most))
        assert caught.value.bit_offset == 1


def test_an_empty_tensor_of_many_dimensions_is_refused_at_once() -> None:
    [unit] = carrier_units(CarriedKind.TENSOR, "w", b"", tag="F32", shape=(0, *[1 << 30] * 254))
    begun = time.process_time()
    with pytest.raises(MalformedBitstream) as caught:
        TopologyReader(Limits(), 1000).add(unit.topology_data, unit.storage_format, (1, 4), 0)
    assert len(caught.value.message) < 200
    assert time.process_time() - begun < 1  # quadratic, it took a minute


@pytest.mark.parametrize("vector", ["without-counter", "unknown-unit-between", "something-between"])
def test_both_decoders_report_the_same_fault_for_every_damaged_part(vector: str) -> None:
    # Found by damaging every vector: which of two faults in a part's first bytes comes first.
    stream = (SUITES / f"invalid/vectors/parts.{vector}.nnc").read_bytes()
    for number in range(n_cases([stream])):
        octets, what = damaged([stream], number)
        assert verdict(octets) == Sequence([stream]).verdict(number), what
