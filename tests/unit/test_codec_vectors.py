# SPDX-License-Identifier: Apache-2.0
"""Every stream of the peer decodes to its levels and values, bit for bit."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import Decoder, QuantizedTensor
from tests.shared_folder import VECTORS, needs_shared, peer_streams

INDEX = {entry["file"]: entry for entry in peer_streams()}


def chain(file: str) -> list[str]:
    """Return a stream and those that must be decoded before it, in order."""
    before = INDEX[file]["after"]
    return [*chain(before), file] if before else [file]


@needs_shared
def test_all_streams_are_here() -> None:
    assert len(INDEX) == 66


@needs_shared
@pytest.mark.parametrize("file", sorted(INDEX))
def test_levels_and_values_are_the_peers(file: str) -> None:
    decoder = Decoder()
    quantized: dict[str, Any] = {}
    for stream in chain(file):
        quantized = decoder.decode(VECTORS / stream, dequantize=False)
    expected = np.load(VECTORS / file.replace(".nnc", ".npz"))
    assert {key.partition(":")[2] for key in expected.files} == set(quantized)
    for key in expected.files:
        kind, _, name = key.partition(":")
        tensor = quantized[name]
        assert isinstance(tensor, QuantizedTensor)
        values = tensor.levels if kind == "level" else tensor.dequantize()
        assert values.dtype == expected[key].dtype
        assert values.shape == expected[key].shape
        assert np.array_equal(values, expected[key])
