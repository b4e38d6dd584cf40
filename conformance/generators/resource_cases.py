# SPDX-License-Identifier: Apache-2.0
"""Suite ``resource``: short streams that demand much time or memory; both rejection and decoding within bounds are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from unittest import mock

from nnr_conformance.expectation import Stage

from conformance.generators import draft as d
from conformance.generators.case import Collection, Fault, error_classes
from conformance.generators.plain import one
from conformance.generators.script import TensorScript

_MIB = 1 << 20
BOUNDS = (10.0, 512 * _MIB)
_CODEWORD = bytes(range(1, 60))


def add_resource(suite: Collection) -> None:
    """Add all cases of the suite."""
    _dimensions(suite)
    _counts(suite)
    _units(suite)
    _deflate(suite)


def _refuse(suite: Collection, name: str, purpose: str, features: str, stream: bytes, classes: str, element: str, stage: Stage = "header",
            bounds: tuple[float, int] = BOUNDS, profile: Literal[0, 1] = 0, bits: tuple[int, int] | None = None, comment: str = "", limit_stage: Stage | None = None) -> None:  # fmt: skip
    fault = Fault(error_classes(classes), stage, element, bits, limit_stage=limit_stage)
    suite.add(
        name,
        purpose,
        features,
        stream,
        verdict="reject",
        fault=fault,
        elements=(element,),
        bounds=bounds,
        profile=profile,
        comment=comment,
    )


def _dimensions(suite: Collection) -> None:
    shapes = {
        "2-60": (1 << 30, 1 << 30),
        "2-32-of-one": (0xFFFFFFFF,),
        "2-96": (0xFFFFFFFF,) * 3,
        "2-63": (1 << 31, 1 << 32 - 1, 2),
    }
    for name, shape in shapes.items():
        for what, kind in (("float", d.FLOAT), ("int", d.INT), ("raw", d.RAW)):
            unit = d.data_unit("w", shape, _CODEWORD, kind=kind, profile=0)
            _refuse(suite, f"dimensions/{name}-{what}", "A decoder that allocates what dimensions claim, or overflows their product.", "limits",
                    one(unit), "limit malformed truncated", "tensor_dimensions")  # fmt: skip
    wide = d.data_unit("w", (8000, 8000), _CODEWORD, profile=0)
    _refuse(suite, "dimensions/64-million", "A decoder that decodes on behind the end of a short codeword.", "limits", one(wide),
            "limit truncated malformed", "tensor_dimensions", "payload", limit_stage="header")  # fmt: skip
    blocks = d.data_unit("w", (0xFFFFFFFF, 2), _CODEWORD, profile=0)
    blocks.tree |= {"scan_order": 1, "cabac_entry_point": []}
    _refuse(suite, "dimensions/2-29-entry-points", "A decoder that allocates entry points by the number of rows.", "limits entry-points",
            _unbuilt(blocks), "limit truncated malformed", "tensor_dimensions")  # fmt: skip
    free = d.data_unit("w", (1 << 16, 1 << 15), TensorScript(), profile=1, book=d.codebook([3], 0))
    free.scripts = []
    free.tree["nnr_compressed_data_unit_payload"] = _empty_codeword()
    _refuse(suite, "dimensions/2-31-for-nothing", "A decoder that allocates for levels that cost no bits.", "limits codebook",
            one(free, d.mps(1, methods=2), profile=1), "limit malformed truncated", "tensor_dimensions", profile=1)  # fmt: skip
    rank = d.data_unit("w_G", (4, 4), _CODEWORD, profile=0, types=1, rank=0xFFFFFFFF, g_rows=4)
    _refuse(suite, "dimensions/rank-2-32", "A decoder that allocates a factor by its rank.", "limits low-rank", one(rank),
            "limit malformed truncated", "decomposition_rank")  # fmt: skip


def _empty_codeword() -> bytes:
    """Write a codeword without levels: that of a tensor with a one-entry codebook."""
    unit = d.data_unit("w", (2, 2), TensorScript(), profile=1, book=d.codebook([3], 0))
    stream = one(unit, d.mps(1, methods=2), profile=1)
    from conformance.generators.damage import events_of

    event = events_of(stream)[-1]
    return stream[event.bit_offset // 8 :]


def _unbuilt(unit: d.UnitDraft) -> bytes:
    """Build a stream whose last unit lacks its entry points."""
    from nnr_codec.syntax import SyntaxState
    from nnr_codec.syntax.grammar import Repeat
    from nnr_codec.syntax.walk import build_tree

    build_repeat: Callable[..., Any] = Repeat._build

    def build(self: Repeat, obj: Any, stream: Any, context: Any, path: str) -> None:
        if self.name != "cabac_entry_point":
            build_repeat(self, obj, stream, context, path)

    with mock.patch.object(Repeat, "_build", build):
        octets = build_tree(
            {"independently_decodable_flag": 1, "partial_data_counter_present_flag": 0} | unit.tree,
            SyntaxState(general_profile_idc=0),
        )
    return d.write_stream([d.start(0), d.mps(0)]) + octets


def _counts(suite: Collection) -> None:
    cases = {
        "dimensions": "count_tensor_dimensions", "codebook": "codebook_size", "names": "count_topology_elements_minus2",
        "performance-map": "spm_count_thresholds", "reshaped-dimensions": "count_reshaped_tensor_dimension",
    }  # fmt: skip
    for name, element in cases.items():
        stream, begin = stream_with_count(element)
        # A decoder refuses the count, or reads the list up to its first missing entry (decision 0022).
        _refuse(suite, f"counts/{name}", "A decoder that allocates by a count before it has seen what is counted.", "limits", stream,
                "limit truncated malformed", element, bits=(begin, 8 * len(stream)), comment="Decision 0022.")  # fmt: skip
    zeros = bytes(30000)
    stream = d.write_stream([d.start(0)])
    body = bytes([5 << 2, 1 << 3 | 1]) + b"w\0" + b"\0" + b"\x80" + zeros
    _refuse(suite, "counts/exp-golomb-without-end", "A decoder that follows an Exp-Golomb prefix for as long as there are zeros.", "limits",
            stream + (len(body) + 2).to_bytes(2, "big") + body, "malformed truncated limit", "tensor_dimensions")  # fmt: skip


def stream_with_count(element: str) -> tuple[bytes, int]:
    """Write a unit that ends after a huge count; also returns the first bit of the count."""
    from nnr_codec.bitio import BitWriter

    stream = d.write_stream([d.start(0)])
    writer = BitWriter()
    largest = 0xFFFFFFFF
    if element == "spm_count_thresholds":
        writer.write_bytes(bytes([1 << 2, 0b01000000, 0]))
        count = writer.bit_length
        writer.write_bits(255, 8)
    elif element == "count_reshaped_tensor_dimension":
        writer.write_bytes(bytes([1 << 2, 0b00010000, 0, 255]))
        count = writer.bit_length
        writer.write_exp_golomb(largest, 1)
    elif element == "count_topology_elements_minus2":
        writer.write_bytes(bytes([3 << 2, 6, 0]))
        count = writer.bit_length
        writer.write_exp_golomb(largest, 7)
    else:
        writer.write_bytes(bytes([5 << 2, 1 << 3 | 1]) + b"w\0")
        if element == "codebook_size":
            writer.write_bits(0b10000, 5)
            count = writer.bit_length
            writer.write_exp_golomb(1 << 31, 2)
        else:
            writer.write_bits(0b00100000, 8)
            count = writer.bit_length
            writer.write_exp_golomb(largest, 1)
    while writer.bit_length % 8:
        writer.write_bits(1, 1)
    writer.write_bytes(b"\xff" * 100)
    body = writer.to_bytes()
    return stream + (len(body) + 2).to_bytes(2, "big") + body, 8 * (len(stream) + 2) + count


def _units(suite: Collection) -> None:
    many = d.write_stream([d.start(0)]) + bytes([0, 3, 40 << 2]) * 20_000
    suite.add("units/20000-empty", "A decoder whose time or memory grows more than in proportion to the number of units.", "limits reserved-units",
              many, verdict="either", requirement="should", bounds=(30.0, 1024 * _MIB))  # fmt: skip
    claimed = d.write_stream([d.start(0)]) + b"\xff\xff\xff\xff" + bytes([5 << 2]) * 100
    _refuse(suite, "units/size-2-31", "A decoder that allocates the size that a unit claims.", "limits framing", claimed, "truncated limit malformed",
            "nnr_unit_size", "framing")  # fmt: skip


def _deflate(suite: Collection) -> None:
    bomb = deflate_bomb((1 << 28) // 258 + 2)
    unit = d.topology(bomb, 3, 1)
    _refuse(suite, "deflate/256-mib", "A decoder that inflates without a bound.", "limits topology", topology_stream(unit), "limit malformed",
            "topology_data", bounds=(30.0, 2048 * _MIB))  # fmt: skip


def topology_stream(unit: d.UnitDraft) -> bytes:
    """Write a stream of one topology unit."""
    from nnr_codec.syntax import SyntaxState, build_tree

    tree = {"independently_decodable_flag": 1, "partial_data_counter_present_flag": 0} | unit.tree
    return d.write_stream([d.start(0)]) + build_tree(tree, SyntaxState(general_profile_idc=0))


def deflate_bomb(n_matches: int) -> bytes:
    """Write a bare deflate block of one zero byte and ``n_matches`` copies of 258 zeros, at two bits per copy.

    It is written bit by bit, so that it does not depend on the version of zlib.
    """
    bits: list[int] = [1, 0, 1]  # last block, dynamic codes

    def number(value: int, count: int) -> None:
        bits.extend(value >> k & 1 for k in range(count))

    number(29, 5)  # 286 literal and length codes
    number(0, 5)  # one distance code
    number(14, 4)  # 18 code length codes, in the order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1
    lengths = {18: 1, 2: 2, 1: 2}
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
        number(lengths.get(symbol, 0), 3)
    one, two, zeros = [1, 0], [1, 1], [0]
    bits += two  # literal 0
    for run in (138, 117):
        bits += zeros
        number(run - 11, 7)
    bits += two  # end of block
    bits += zeros
    number(28 - 11, 7)
    bits += one  # length 258
    bits += one  # distance 1
    bits += [1, 0]  # the literal 0
    whole = sum(bit << k for k, bit in enumerate(bits))
    n_bits = len(bits) + 2 * n_matches  # a match is a 0 and a 0
    whole |= 0b11 << n_bits
    n_bits += 2
    return whole.to_bytes((n_bits + 7) // 8, "little")
