# SPDX-License-Identifier: Apache-2.0
"""Random valid streams: this module draws the structure, the walk over the grammar draws the elements."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Mapping
from typing import Any

from conformance.generators import draft as d
from conformance.generators.script import TensorScript, drawn_initialisations, drawn_values
from conformance.generators.walker import Walker
from nnr_codec.syntax import NNR_UNIT, SyntaxState
from nnr_codec.syntax.grammar import Tree

_ELEMENTS_AT_MOST = 420


def draw_streams(seed: int, profile: int, n_streams: int = 1) -> list[bytes]:
    """Draw a stream, or a sequence of updates of the same parameters."""
    rng = random.Random(f"{profile}/{n_streams}/{seed}")
    plan = Plan(rng, profile, incremental=n_streams > 1)
    streams: list[bytes] = []
    for number in range(n_streams):
        streams.append(d.write_stream(plan.units(number), streams))
        plan.remember(streams[-1])
    return streams


class Plan:
    """Random parameters of a model, and the drafts of their units."""

    #: Indices of a reference list that each tensor may use, and depths of units with unknown parents.
    names_per_tensor = 7
    depths: tuple[int, ...] = (0, 1, 9)

    @staticmethod
    def compress(content: bytes) -> bytes:
        """Write a zlib stream."""
        return zlib.compress(content)

    def __init__(self, rng: random.Random, profile: int, *, incremental: bool) -> None:
        self.rng = rng
        self.profile = profile
        self.incremental = incremental
        self.parents = int(incremental or (profile == 1 and rng.random() < 0.2))
        self.indexed = rng.random() < 0.2
        self.density = rng.randint(0, 7)
        self.shapes = [self._shape() for _ in range(rng.randint(1, 3))]
        self.kinds = [rng.choice((d.INT, d.FLOAT, d.FLOAT, d.FLOAT, d.BLOCK)) for _ in self.shapes]
        self.ranks = [rng.randint(1, 4) for _ in self.shapes]
        self.digests: dict[int, bytes] = {}
        self.largest = rng.choice((1, 2, 5, 40, 70000))
        self.types = [rng.randrange(16) if kind == d.BLOCK else 0 for kind in self.kinds]

    def _shape(self) -> tuple[int, ...]:
        rng = self.rng
        while True:
            shape = tuple(rng.choice((1, 2, 3, 9, 17, 20)) for _ in range(rng.choice((1, 2, 2, 2, 3))))
            size = 1
            for dimension in shape:
                size *= dimension
            if size <= _ELEMENTS_AT_MOST:
                return shape

    def remember(self, stream: bytes) -> None:
        """Record the payloads, for parents by digest."""
        from nnr_codec.model import DataUnit
        from nnr_codec.syntax import iter_units

        for _, unit, _ in iter_units(stream):
            if isinstance(unit, DataUnit) and unit.header.node_id is not None:
                self.digests[unit.header.node_id.parameter_id] = bytes(unit.payload)

    def units(self, number: int) -> list[d.UnitDraft]:
        """Draw the units of one stream."""
        rng, profile = self.rng, self.profile
        units = [d.start(profile), self._parameter_set(1)]
        names = [
            f"p{index}.{part}" for index in range(len(self.shapes)) for part in range(self.names_per_tensor)
        ]
        if self.indexed:
            units.append(d.reference_list(names))
        if rng.random() < 0.3:
            units.append(self._any(3))
        if rng.random() < 0.2:
            units.append(self._any(4))
        if rng.random() < 0.2:
            units.append(self._any(rng.randint(7, 63)))
        for index, shape in enumerate(self.shapes):
            if rng.random() < 0.25:
                units.append(self._parameter_set(2))
            units.append(self._data_unit(index, shape, number))
        return units

    def _parameter_set(self, kind: int) -> d.UnitDraft:
        prefix = "mps" if kind == 1 else "lps"
        forced: dict[str, Any] = {
            f"{prefix}_quantization_method_flags": self.rng.choice((1, 2, 3, 5, 7)),
            f"{prefix}_qp_density": self.density,
            f"{prefix}_quantization_parameter": self.rng.randint(-40, 0),
            "mps_topology_indexed_reference_flag": int(self.indexed),
            "mps_parent_signalling_enabled_flag": self.parents,
        }
        for flag in ("sparsification", "pruning", "unification"):
            forced[f"{prefix}_{flag}_flag"] = int(self.rng.random() < 0.3)
        return self._any(kind, forced)

    def _any(self, kind: int, forced: Mapping[str, Any] | None = None) -> d.UnitDraft:
        """Draw a unit from the grammar."""
        rng = self.rng
        settled: dict[str, Any] = {
            "nnr_unit_type": kind,
            "nnr_unit_size_flag": 0,
            "nnr_unit_size": 0,
            "partial_data_counter_present_flag": 0,
        }
        settled |= forced or {}
        if kind == 5:
            raise ValueError(kind)
        if kind == 3:
            compressed = rng.random() < 0.5
            settled["topology_storage_format"] = rng.randrange(6)
            settled["topology_compression_format"] = int(compressed)
            content = rng.randbytes(rng.randint(0, 30))
            settled["topology_data"] = self.compress(content) if compressed else content
        if kind == 4:
            compressed = rng.random() < 0.5
            settled["quantization_compression_format"] = int(compressed)
            settled["quantization_data"] = (
                self.compress(b"scale") if compressed else rng.choice(("", "scale"))
            )
        state = SyntaxState(general_profile_idc=self.profile)
        variables = state.variables()
        tree = Walker(rng, lambda element, _scope: settled.get(element)).tree(NNR_UNIT, variables)
        return d.UnitDraft(_unsized(tree))

    def _data_unit(self, index: int, shape: tuple[int, ...], number: int) -> d.UnitDraft:
        rng, kind, types = self.rng, self.kinds[index], self.types[index]
        n_names = _names_in_block(types) if kind == d.BLOCK else 1
        names = [f"p{index}.{part}" for part in range(n_names)]
        total = 1
        for dimension in shape:
            total *= dimension
        divisors = [n for n in range(1, total + 1) if total % n == 0 and n <= 20 and total // n <= 40]
        if types & 1 and not divisors:
            types &= ~1
            names = names[:-1]
        settled: dict[str, Any] = {
            "nnr_unit_type": 5, "nnr_unit_size_flag": 0, "nnr_unit_size": 0, "partial_data_counter_present_flag": 0,
            "nnr_compressed_data_unit_payload_type": kind,
            "nnr_multiple_topology_elements_present_flag": int(n_names > 1 and len(names) > 1),
            "input_parameters_present_flag": 1, "tensor_dimensions_flag": 1, "compressed_parameter_types": types,
            "topology_elem_id": names[0], "topology_elem_id_index": self.names_per_tensor * index,
            "count_topology_elements_minus2": len(names) - 2, "topology_elem_id_list": names,
            "topology_elem_id_index_list": [self.names_per_tensor * index + part for part in range(len(names))],
            "node_id_present_flag": int(self.incremental or rng.random() < 0.5),
            "device_id": 0 if self.incremental else None, "parameter_id": index if self.incremental else None,
            "put_node_depth": number + 1 if self.incremental else rng.choice(self.depths),
            "parent_node_id_type": self._parent_type(index), "parent_device_id": 0 if self.incremental else None,
            "codebook_size": rng.choice((1, 2, 3, 3, 4, 5, 9, 40)),
            "codebook_present_flag": int(rng.random() < 0.3), "codebook_zero_value": rng.randint(-50, 50),
            "decomposition_rank": self.ranks[index], "g_number_of_rows": divisors[index % len(divisors)] if divisors else 1,
            "count_tensor_dimensions": len(shape), "tensor_dimensions": shape,
            "nnr_compressed_data_unit_payload": b"", "cabac_entry_point": [],
            "cabac_unary_length_minus1": rng.choice((0, 1, 2, 5, 11)),
        }  # fmt: skip
        digest = self.digests.get(index)
        if digest is not None:
            settled["parent_node_payload_sha256"] = int.from_bytes(hashlib.sha256(digest).digest(), "big")
            settled["parent_node_payload_sha512"] = int.from_bytes(hashlib.sha512(digest).digest(), "big")
        variables = SyntaxState(general_profile_idc=self.profile).variables() | {
            "mps_topology_indexed_reference_flag": int(self.indexed),
            "mps_parent_signalling_enabled_flag": self.parents,
        }
        tree = _unsized(Walker(rng, lambda element, _scope: settled.get(element)).tree(NNR_UNIT, variables))
        tree.pop("cabac_entry_point", None)
        unit = d.UnitDraft(tree, long_form=rng.random() < 0.1)
        n_tensors = _names_in_block(types) if kind == d.BLOCK else 1
        unit.scripts = [self._script(tree, last=k == n_tensors - 1) for k in range(n_tensors)]
        if types & 1 and kind == d.BLOCK:
            unit.scripts[-2] = self._script(tree, last=True)
            unit.scripts[-1] = self._script(tree, last=True, book="second_codebook")
        if rng.random() < 0.1:
            unit.part_bytes = rng.randint(1, 40)
        return unit

    def _parent_type(self, index: int) -> int:
        return self.rng.randrange(3) if index in self.digests else 0

    def _script(self, tree: Tree, *, last: bool, book: str = "codebook") -> TensorScript:
        rng = self.rng
        largest, smallest = self.largest, -self.largest
        table = tree.get(book) if last else None
        if table is not None:
            zero = (table["codebook_size"] >> 1) + table["codebook_center_offset"]
            largest, smallest = table["codebook_size"] - 1 - zero, -zero
            if tree.get("dq_flag"):
                # The mapping doubles a value, so halves always stay inside the codebook.
                largest, smallest = largest // 2, -(-smallest // 2)
        rows = {row for row in range(64) if rng.random() < 0.3}
        return TensorScript(
            drawn_values(rng, rng.choice((0.05, 0.4, 0.9)), largest, smallest=smallest),
            qp_value=rng.randint(-20, 4),
            history=rng.random() < 0.5,
            row_skip=rng.random() < 0.5,
            skipped_rows=rows,
            initialisations=drawn_initialisations(rng, rng.choice((0.0, 0.3, 1.0))),
        )


def _names_in_block(types: int) -> int:
    return 1 + (types & 1) + (types >> 1 & 1) + 4 * (types >> 2 & 1) + (types >> 3 & 1)


def _unsized(tree: Tree) -> Tree:
    return {key: value for key, value in tree.items() if not key.startswith("nnr_unit_size")}
