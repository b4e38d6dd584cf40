# SPDX-License-Identifier: Apache-2.0
"""Stress streams: random valid streams and sequences, and damaged copies of them, numbered.

Five numbers share a sequence of streams: it is valid in the first, and has a flipped bit, a cut, changed bytes or rearranged
units in the others.
"""

from __future__ import annotations

import functools
import zlib
from typing import Literal

from conformance.generators import draft as d
from conformance.generators.draft import UnitDraft
from conformance.generators.random_streams import Plan
from conformance.generators.seeded.splitmix import SplitMix64
from nnr_codec.syntax import iter_unit_spans

KINDS = ("valid", "flipped bit", "cut", "changed bytes", "rearranged units")
_SEQUENCE_EVERY = 8


def stored_zlib(content: bytes) -> bytes:
    """Wrap bytes in a zlib stream of one stored block, which no version of a compressor changes.

    >>> zlib.decompress(stored_zlib(b"scale"))
    b'scale'
    """
    length = len(content).to_bytes(2, "little")
    complement = (0xFFFF - len(content)).to_bytes(2, "little")
    return b"\x78\x01\x01" + length + complement + content + zlib.adler32(content).to_bytes(4, "big")


class StressPlan(Plan):
    """Random parameters without what a decoder may accept or reject."""

    names_per_tensor = 8
    depths = (0, 1)

    @staticmethod
    def compress(content: bytes) -> bytes:
        """Write a zlib stream of one stored block."""
        return stored_zlib(content)


@functools.lru_cache(maxsize=4)
def valid_streams(base: int) -> tuple[Literal[0, 1], tuple[bytes, ...], frozenset[str]]:
    """Draw valid streams; returns profile, streams and features."""
    rng = SplitMix64(f"nnr stress {base}")
    profile: Literal[0, 1] = 1 if base & 1 else 0
    sequence = base % _SEQUENCE_EVERY == _SEQUENCE_EVERY - 1
    n_streams = rng.randint(2, 4) if sequence else 1
    plan = StressPlan(rng, profile, incremental=sequence)
    streams: list[bytes] = []
    features: set[str] = set()
    for number in range(n_streams):
        units = plan.units(number)
        features |= features_of(units, profile)
        streams.append(d.write_stream(units, streams))
        plan.remember(streams[-1])
    return profile, tuple(streams), frozenset(features)


def features_of(units: list[UnitDraft], profile: int) -> set[str]:
    """Return the registered features that drafts of units have."""
    features = {"framing"}
    for unit in units:
        tree = unit.tree
        kind, types = tree["nnr_unit_type"], tree.get("compressed_parameter_types", 0)
        payload = tree.get("nnr_compressed_data_unit_payload_type")
        present = {
            "partial-units": unit.part_bytes > 0,
            "model-parameter-set": kind == 1,
            "layer-parameter-set": kind == 2,
            "performance-maps": any(name.endswith("performance_map_flag") and tree[name] for name in tree)
            or any(
                tree.get(f"{p}_{m}_flag")
                for p in ("mps", "lps")
                for m in ("sparsification", "pruning", "unification")
            ),
            "topology": kind == 3,
            "quantization-unit": kind == 4,
            "reserved-units": kind > 6,
            "incremental": bool(tree.get("mps_parent_signalling_enabled_flag")),
            "integer-payload": payload == d.INT,
            "float-payload": payload == d.FLOAT,
            "block-payload": payload == d.BLOCK,
            "low-rank": bool(types & 1),
            "local-scaling": bool(types & 2),
            "batch-norm": bool(types & 4),
            "bias": bool(types & 8),
            "codebook": bool(tree.get("codebook_present_flag")),
            "dependent-quantization": bool(tree.get("dq_flag")),
            "block-scan": bool(tree.get("scan_order")),
            "indexed-reference": "topology_elem_id_index" in tree,
            "multiple-elements": bool(tree.get("nnr_multiple_topology_elements_present_flag")),
            "node-ids": bool(tree.get("node_id_present_flag")),
            "parent-node": bool(tree.get("parent_node_id_present_flag")),
            "row-skip": profile == 1 and kind == 5,
        }
        features |= {name for name, is_present in present.items() if is_present}
    return features


def stress_streams(number: int) -> tuple[Literal[0, 1], list[bytes], frozenset[str]]:
    """Return profile, streams and features of a number; the streams may be damaged."""
    base, kind = divmod(number, len(KINDS))
    profile, streams, features = valid_streams(base)
    if kind == 0:
        return profile, list(streams), features
    rng = SplitMix64(f"nnr stress damage {number}")
    index = rng.randrange(len(streams))
    damaged = _DAMAGE[kind - 1](rng, streams[index])
    return profile, [*streams[:index], damaged, *streams[index + 1 :]], features


def _flipped(rng: SplitMix64, stream: bytes) -> bytes:
    bit = rng.randrange(8 * len(stream))
    changed = bytearray(stream)
    changed[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(changed)


def _cut(rng: SplitMix64, stream: bytes) -> bytes:
    return stream[: rng.randrange(len(stream))]


def _changed(rng: SplitMix64, stream: bytes) -> bytes:
    """Overwrite, insert, delete or repeat up to four times."""
    changed = bytearray(stream)
    for _ in range(rng.randint(1, 4)):
        position, length = rng.randrange(len(changed) + 1), rng.randint(1, 4)
        action = rng.randrange(4)
        if action == 0:
            changed[position : position + length] = rng.randbytes(length)
        elif action == 1:
            changed[position:position] = rng.randbytes(length)
        elif action == 2:
            del changed[position : position + length]
        else:
            changed[position:position] = changed[position : position + length]
    return bytes(changed)


def _rearranged(rng: SplitMix64, stream: bytes) -> bytes:
    """Drop, repeat or exchange units."""
    units = [stream[s.byte_offset : s.byte_offset + s.size_bytes] for s in iter_unit_spans(stream)]
    first, second = rng.randrange(len(units)), rng.randrange(len(units))
    action = rng.randrange(3)
    if action == 0:
        del units[first]
    elif action == 1:
        units.insert(second, units[first])
    else:
        units[first], units[second] = units[second], units[first]
    return b"".join(units)


_DAMAGE = (_flipped, _cut, _changed, _rearranged)
