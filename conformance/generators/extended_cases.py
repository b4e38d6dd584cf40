# SPDX-License-Identifier: Apache-2.0
"""Suite ``extended``: profile 1 with node identifiers, row skipping, codebook-aware coding and updates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.core_cases import add_shared
from conformance.generators.plain import one, ramp
from conformance.generators.script import TensorScript, drawn_initialisations, drawn_values
from conformance.generators.state_cases import add_state
from nnr_codec.model import DataUnit
from nnr_codec.syntax import iter_units

Values = Sequence[int] | Callable[[int], int]


class Hash(Protocol):
    """Hash object of ``hashlib``."""

    def digest(self) -> bytes:
        """Digest of the hashed bytes."""
        ...


def add_extended(suite: Collection) -> None:
    """Add all cases but random and captured ones."""
    add_shared(suite)
    _parameter_set(suite)
    _nodes(suite)
    _rows(suite)
    _sequences(suite)
    _parents(suite)
    _unary_256(suite)
    add_state(suite)


def _parameter_set(suite: Collection) -> None:
    unit = d.data_unit("w", (3, 4), ramp())
    parameter_sets: dict[str, dict[str, Any]] = {
        "base-model-id": {"base_model_id_present_flag": 1, "base_model_id": "model 7"},
        "base-model-id-empty": {"base_model_id_present_flag": 1, "base_model_id": ""},
        "metric-type": {"metric_type_performance_map_valid_flag": 1, "performance_metric_type": "top-1"},
        "validation": {"validation_set_performance_present_flag": 1, "performance_metric_type": "größe", "validation_set_performance": 0.8125},
        "both": {"validation_set_performance_present_flag": 1, "metric_type_performance_map_valid_flag": 1,
                 "performance_metric_type": "", "validation_set_performance": b"\1\0\x80\x7f"},
        "all": {"base_model_id_present_flag": 1, "base_model_id": "x", "validation_set_performance_present_flag": 1,
                "metric_type_performance_map_valid_flag": 1, "performance_metric_type": "y", "validation_set_performance": -0.0},
    }  # fmt: skip
    for name, elements in parameter_sets.items():
        suite.add(f"mps/{name}", "A decoder that reads the strings of a parameter set under the wrong condition.",
                  "model-parameter-set", one(unit, d.mps(1, **elements), profile=1), elements=tuple(elements))  # fmt: skip
    for pre in (0, 1):
        suite.add(f"mps/parent-signalling-pre-{pre}", "A decoder that reads nnr_pre_flag otherwise than where parents are signalled.",
                  "model-parameter-set incremental",
                  one(d.data_unit("w", (3, 4), ramp(), parents=1), d.mps(1, parents=1, nnr_pre_flag=pre), profile=1),
                  elements=("nnr_pre_flag", "parent_node_id_present_flag"))  # fmt: skip


def _nodes(suite: Collection) -> None:
    for name, node in {
        "zero": (0, 0, 0),
        "small": (1, 7, 3),
        "large": ((1 << 32) - 1, (1 << 32) - 1, (1 << 32) - 1),
    }.items():
        unit = d.data_unit("w", (3, 4), ramp(), node=node)
        suite.add(f"nodes/{name}", "A decoder that reads node identifiers with the wrong order of Exp-Golomb.", "node-ids",
                  one(unit, profile=1))  # fmt: skip
    for shift in (0, 1, 3, 4000000000):
        unit = d.data_unit("w", (3, 4), ramp(), shift=shift)
        suite.add(f"shape/dimension-shift-{shift}", "A decoder that shifts dimensions.", "dimension-shift", one(unit, profile=1),
                  comment="Decision 0008.")  # fmt: skip
    again = [d.data_unit("w", (2,), TensorScript([k, -k]), node=(0, 0, k)) for k in (1, 2)]
    suite.add("nodes/same-name-twice", "A decoder that keeps the earlier of two units of one name.", "node-ids",
              d.write_stream([d.start(), d.mps(), *again]), clauses=("3.2.1",), comment="Decision 0018.")  # fmt: skip


def _rows(suite: Collection) -> None:
    for dq in (0, 1):
        for scan in (0, 1, 2):
            for shape in ((20, 6), (19, 13), (20, 12)):
                rng = rng_of(f"rows {dq} {scan} {shape}")
                skipped = {0, 3, 7, 8, 9, shape[0] - 1}
                script = TensorScript(drawn_values(rng, 0.6, 6), row_skip=True, skipped_rows=skipped,
                                      initialisations=drawn_initialisations(rng, 0.2))  # fmt: skip
                unit = d.data_unit("w", shape, script, dq=dq, scan=scan)
                suite.add(f"row-skip/{shape[0]}x{shape[1]}-scan-{scan}{'-dq' if dq else ''}",
                          "A decoder that does not move the eight states over a skipped row, or in blocks by the wrong count.",
                          "row-skip" + (" dependent-quantization" if dq else "") + (" block-scan entry-points" if scan else ""),
                          one(unit, profile=1))  # fmt: skip
    for name, skipped in (("none", set()), ("all", set(range(9)))):
        unit = d.data_unit(
            "w",
            (9, 5),
            TensorScript(drawn_values(rng_of(name), 0.6, 6), row_skip=True, skipped_rows=skipped),
            dq=1,
        )
        suite.add(f"row-skip/{name}", "A decoder that infers row_skip_enabled_flag from the flags behind it.", "row-skip",
                  one(unit, profile=1))  # fmt: skip
    one_entry = d.data_unit("w", (9, 5), TensorScript(qp_value=1), book=d.codebook([3], 0))
    suite.add("row-skip/codebook-of-one", "A decoder that reads row_skip_enabled_flag where a codebook of one entry leaves nothing to code.",
              "row-skip codebook", one(one_entry, d.mps(1, methods=2), profile=1))  # fmt: skip


class Updates:
    """Sequence of updates of one parameter, with the identifiers that name their parents."""

    def __init__(self, name: str, shape: Sequence[int] = (18, 13), **choices: Any) -> None:
        self.rng = rng_of(name)
        self.shape = tuple(shape)
        self.choices = choices
        self.streams: list[bytes] = []

    def update(self, depth: int, values: Values | None = None, *, history: bool = False, temporal: int | None = None, device: int = 0,
               rows: bool = False, digest: Callable[[bytes], Hash] | None = None, parent: bool = True, **choices: Any) -> None:  # fmt: skip
        """Append a stream with the update at ``depth``."""
        rng = self.rng
        if temporal is None:
            # Without a previous update the flag has no effect, and NNCodec fails on it.
            temporal = int(bool(self.streams))
        script = TensorScript(drawn_values(rng, 0.5, 4) if values is None else values, history=history,
                              row_skip=rows, skipped_rows={2, 5, 9}, initialisations=drawn_initialisations(rng, 0.3))  # fmt: skip
        named = d.child_of(device, temporal=temporal)
        if digest is not None:
            named = d.child_of_digest(digest(self.payload).digest(), temporal=temporal)
        unit = d.data_unit(
            "w",
            self.shape,
            script,
            node=(0, 4, depth),
            parents=1,
            parent=named if parent else None,
            **{**self.choices, **choices},
        )
        self.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit], self.streams))

    def zero_update(self) -> None:
        """Append a stream without an update of the parameter."""
        self.streams.append(d.write_stream([d.start(), d.mps(parents=1)], self.streams))

    @property
    def payload(self) -> bytes:
        """Payload of the last update."""
        for stream in reversed(self.streams):
            for _, unit, _ in iter_units(stream):
                if isinstance(unit, DataUnit):
                    return bytes(unit.payload)
        raise LookupError


def _sequences(suite: Collection) -> None:
    add = suite.add
    for dq in (0, 1):
        for scan in (0, 1):
            for history in (False, True):
                name = f"incremental/temporal{'-dq' if dq else ''}{f'-scan-{scan}' if scan else ''}{'-history' if history else ''}"
                made = Updates(name, dq=dq, scan=scan, unary=3)
                for depth in (1, 2, 3, 4):
                    made.update(depth, history=history, rows=depth > 2)
                features = "incremental temporal-context parent-node" + " history-context" * history
                features += " dependent-quantization" * dq + " block-scan entry-points" * scan
                add(name, "A decoder with the wrong contexts of a base or a history: their order, their indices, or where they are off.",
                    features, made.streams, clauses=("5.2", "5.5.1"),
                    comment="Decisions 0013 and 0014." if history or scan else "")  # fmt: skip
    made = Updates("history without temporal", dq=1)
    for depth in (1, 2, 3):
        made.update(depth, history=True, temporal=0)
    add("incremental/history-without-temporal", "A decoder that uses the history only together with the temporal context.",
        "incremental history-context parent-node", made.streams)  # fmt: skip
    made = Updates("history flag at the start")
    made.update(1, history=True)
    add("incremental/history-without-predecessor", "A decoder that does not read initialisations for a history that is empty.",
        "incremental history-context parent-node", made.streams, clauses=("5.6.3",))  # fmt: skip
    made = Updates("temporal flag at the start", dq=1)
    made.update(1, temporal=1)
    made.update(2)
    add("incremental/temporal-without-predecessor", "A decoder that wants a base for the first update.",
        "incremental temporal-context parent-node", made.streams, clauses=("5.6.1",))  # fmt: skip
    made = Updates("left out", dq=1)
    made.update(1)
    made.update(2)
    made.zero_update()
    made.update(3)
    add("incremental/zero-update-left-out", "A decoder that forgets the last update when one stream has none.",
        "incremental temporal-context", made.streams, comment="Decision 0015.")  # fmt: skip
    made = Updates("long", (6, 5), dq=1)
    for depth in range(1, 13):
        made.update(depth, history=depth % 2 == 0)
    add("incremental/twelve-updates", "A decoder that forgets where early updates were not zero.", "incremental history-context",
        made.streams)  # fmt: skip
    made = Updates("vector", (40,), dq=1)
    for depth in (1, 2, 3):
        made.update(depth)
    add("incremental/one-dimension", "A decoder that drops the temporal context of one-dimensional tensors.",
        "incremental temporal-context", made.streams)  # fmt: skip
    made = Updates("bases", (12, 12), unary=4)
    made.update(1, drawn_values(made.rng, 0.8, 7))
    made.update(2, drawn_values(made.rng, 0.8, 7))
    made.update(3, drawn_values(made.rng, 0.8, 9), history=True)
    add("incremental/large-bases", "A decoder that compares the base's magnitude with the flag's index wrongly.",
        "incremental temporal-context greater-flags", made.streams)  # fmt: skip
    book = d.codebook([-30, -8, -3, 0, 1, 4, 9, 20], 3)
    made = Updates("codebook updates", (10, 9), book=book)
    for depth in (1, 2, 3):
        made.update(depth, drawn_values(made.rng, 0.6, 4, smallest=-3), history=depth == 3)
    add("incremental/codebook", "A decoder with the wrong presence of temporal contexts under a codebook.",
        "incremental temporal-context codebook", made.streams)  # fmt: skip
    for name, values, zero in (("right", [0, 2, 3, 9], 0), ("left", [-9, -4, -1, 0], 3), ("two", [0, 1], 0)):
        made = Updates(f"codebook one-sided {name}", (10, 9), book=d.codebook(values, zero), unary=1)
        for depth in (1, 2):
            made.update(
                depth, drawn_values(made.rng, 0.6, len(values) - 1 - zero, smallest=-zero), history=depth == 2
            )
        add(f"incremental/codebook-one-sided-{name}", "A decoder that codes signs of a one-sided codebook's values in updates.",
            "incremental temporal-context codebook codebook-one-sided", made.streams)  # fmt: skip
    made = Updates("block updates", (10, 9))
    names = ["w", "ls", "b"]
    for depth in (1, 2, 3):
        scripts = [
            TensorScript(
                drawn_values(made.rng, 0.6, 4),
                history=depth == 3,
                initialisations=drawn_initialisations(made.rng, 0.3),
            )
            for _ in names
        ]
        unit = d.data_unit(
            names,
            (10, 9),
            scripts,
            kind=d.BLOCK,
            types=10,
            node=(0, 0, depth),
            parents=1,
            parent=d.child_of(temporal=int(depth > 1)),
            dq=1,
        )
        made.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit], made.streams))
    add("incremental/block", "A decoder that gives a tensor of a block another's base.", "incremental temporal-context block-payload",
        made.streams)  # fmt: skip
    made = Updates("integers")
    for depth in (1, 2, 3):
        made.update(depth, kind=d.INT, history=depth == 3)
    add("incremental/integers", "A decoder that keeps no base of integers.", "incremental temporal-context integer-payload",
        made.streams)  # fmt: skip


def _parents(suite: Collection) -> None:
    add = suite.add
    for name, digest in (("sha256", hashlib.sha256), ("sha512", hashlib.sha512)):
        made = Updates(name, dq=1)
        made.update(1)
        made.update(2, digest=digest, history=True)
        made.update(3, digest=digest)
        add(f"parent/{name}", "A decoder that takes the digest over other bytes than the payload.", "parent-node incremental temporal-context",
            made.streams, elements=(f"parent_node_payload_{name}",))  # fmt: skip
    made = Updates("unknown digest")
    made.update(1)
    unit = d.data_unit("w", made.shape, TensorScript(drawn_values(made.rng, 0.5, 4)), node=(0, 4, 2), parents=1,
                       parent=d.child_of_digest(bytes(32)))  # fmt: skip
    made.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit], made.streams))
    add(
        "parent/unknown-digest",
        "A decoder that refuses a parent it has not seen.",
        "parent-node incremental",
        made.streams,
    )
    zeros = d.data_unit(
        "w",
        (6, 5),
        TensorScript(drawn_values(rng_of("zeros"), 0.5, 4)),
        node=(0, 4, 2),
        parents=1,
        parent=d.child_of_digest(bytes(64)),
    )
    add(
        "parent/unknown-digest-sha512",
        "A decoder that refuses a parent it has not seen.",
        "parent-node incremental",
        d.write_stream([d.start(), d.mps(parents=1), zeros]),
        elements=("parent_node_payload_sha512",),
    )
    made = Updates("without node")
    made.update(1)
    for number, temporal in enumerate((1, 1)):
        node = {"parameter_id": 4, "put_node_depth": 2}
        unit = d.data_unit("w", made.shape, TensorScript(drawn_values(made.rng, 0.5, 4)), parents=1,
                           parent=d.child_of(0, temporal=temporal) | node, dq=number)  # fmt: skip
        made.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit], made.streams))
    add("parent/without-node-id", "A decoder that takes put_node_depth of a unit without node identifier for its parent's.",
        "parent-node incremental temporal-context", made.streams, comment="Decision 0012.")  # fmt: skip
    made = Updates("two devices")
    made.update(1)
    made.update(2)
    other = d.data_unit(
        "w",
        made.shape,
        TensorScript(drawn_values(made.rng, 0.5, 4)),
        node=(1, 4, 2),
        parents=1,
        parent=d.child_of(0),
        dq=1,
    )
    made.streams.append(d.write_stream([d.start(), d.mps(parents=1), other], made.streams))
    add("parent/of-another-device", "A decoder that looks for the parent on the unit's own device.", "parent-node node-ids incremental",
        made.streams, elements=("parent_device_id",))  # fmt: skip
    made = Updates("no parent named")
    made.update(1)
    made.update(2, parent=False)
    made.update(3)
    add("parent/none-named", "A decoder that takes the last update for the parent where none is named.", "parent-node incremental",
        made.streams)  # fmt: skip
    made = Updates("depth zero")
    made.update(0)
    made.update(1)
    add("parent/depth-zero", "A decoder that fails on a first update at depth 0, whose parent would be at -1.", "parent-node incremental",
        made.streams)  # fmt: skip
    made = Updates("back to depth zero")
    made.update(1)
    made.update(0, temporal=0)
    add(
        "parent/back-to-depth-zero",
        "A decoder that looks for a parent at depth -1 among known updates.",
        "parent-node incremental",
        made.streams,
    )
    twice = [d.data_unit("w", (5, 6), TensorScript(drawn_values(rng_of("twice"), 0.5, 4)), node=(0, 0, depth), parents=1,
                         parent=d.child_of() if depth > 1 else None) for depth in (1, 2)]  # fmt: skip
    add("parent/in-the-same-stream", "A decoder that keeps updates only at the end of a stream.", "parent-node incremental",
        d.write_stream([d.start(), d.mps(parents=1), *twice]))  # fmt: skip


def _sign(exponent: int) -> int:
    return -1 if exponent & 1 else 1


def _unary_256(suite: Collection) -> None:
    """Add updates that reach every greater-than context of the longest unary part, with and without base, with both bins."""

    def every(at: int) -> int:
        return _sign(at // 257) * (at % 257 + 1)

    made = Updates("unary 256", (22, 24), unary=256)
    for depth, values in enumerate((every, _sign, every, lambda at: 257 * _sign(at), every), 1):
        made.update(depth, values)
    suite.add("incremental/unary-256", "A decoder that stores fewer greater-than contexts than there can be.",
              "incremental temporal-context greater-flags cabac-unary-length", made.streams)  # fmt: skip
