# SPDX-License-Identifier: Apache-2.0
"""Cases of state: streams inherit nothing from earlier streams of a sequence, and what the memory of updates holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.damage import PLAIN0, Damager, without_unit
from conformance.generators.plain import SHAPE, ramp
from conformance.generators.script import TensorScript, drawn_initialisations, drawn_values
from nnr_codec.model import DataUnit
from nnr_codec.syntax import iter_units
from nnr_codec.syntax.grammar import Tree

_UPDATE = "incremental parent-node temporal-context"
_MATRIX = (6, 5)


class Series:
    """Streams of a sequence; each is written in the state that the earlier ones leave behind."""

    def __init__(self, name: str) -> None:
        self.rng = rng_of(name)
        self.streams: list[bytes] = []

    def add(self, *units: d.UnitDraft, profile: int = 1) -> None:
        """Append a stream of a start unit and ``units``."""
        self.streams.append(d.write_stream([d.start(profile), *units], self.streams))

    def update(self, node: tuple[int, int, int] | None, parent: Tree | None = None, **choices: Any) -> None:
        """Append a stream with one update that signals parents."""
        self.add(d.mps(parents=1), self.unit(node, parent, **choices))

    def unit(
        self, node: tuple[int, int, int] | None, parent: Tree | None = None, *, name: str = "w",
        shape: tuple[int, ...] = _MATRIX, script: TensorScript | bytes | None = None, history: bool = False, **choices: Any,
    ) -> d.UnitDraft:  # fmt: skip
        """Draft a data unit with drawn levels."""
        drawn = TensorScript(
            drawn_values(self.rng, 0.6, 4),
            history=history,
            initialisations=drawn_initialisations(self.rng, 0.3),
        )
        return d.data_unit(name, shape, script or drawn, node=node, parents=1, parent=parent, **choices)

    def payload(self, stream: int) -> bytes:
        """Payload of the last data unit of a stream."""
        return [bytes(u.payload) for _, u, _ in iter_units(self.streams[stream]) if isinstance(u, DataUnit)][
            -1
        ]


def add_state(suite: Collection) -> None:
    """Add the valid sequences of profile 1."""
    _fresh_streams(suite)
    _gaps(suite)
    _without_node(suite)
    _raw_units(suite)


def _fresh_streams(suite: Collection) -> None:
    def sequence(
        name: str, purpose: str, features: str, *streams: Sequence[d.UnitDraft], profiles: Sequence[int] = ()
    ) -> None:
        made = Series(name)
        for number, units in enumerate(streams):
            made.add(*units, profile=profiles[number] if profiles else 1)
        suite.add(f"state/{name}", purpose, features, made.streams, clauses=("2.1",))

    w, integers = d.data_unit("w", SHAPE, ramp()), d.data_unit("n", SHAPE, ramp(), kind=d.INT)
    sequence("layer-set-of-an-earlier-stream", "A decoder that lets a layer parameter set hold in the next stream.",
             "layer-parameter-set qp-density", [d.mps(density=2), d.lps(density=5, qp=7), w], [d.mps(density=2), w])  # fmt: skip
    sequence("model-set-behind-a-layer-set-of-an-earlier-stream", "A decoder that keeps the density of an earlier stream where the model set brings none.",
             "layer-parameter-set qp-density", [d.mps(density=6), w], [d.mps(methods=0), d.lps(density=1, qp=3), w])  # fmt: skip
    sequence("no-model-set-in-a-later-stream", "A decoder that keeps the model parameter set of an earlier stream.",
             "indexed-reference integer-payload",
             [d.mps(mps_topology_indexed_reference_flag=1), d.reference_list(["a", "b"]), d.data_unit(1, SHAPE, ramp())],
             [integers], [d.lps(density=3, qp=1), w])  # fmt: skip
    sequence("another-reference-list-in-a-later-stream", "A decoder that appends a reference list to that of an earlier stream, or keeps it.",
             "indexed-reference topology", *[
                 [d.mps(mps_topology_indexed_reference_flag=1), d.reference_list(names), d.data_unit(1, SHAPE, ramp())]
                 for names in (["a", "b", "c"], ["x", "y"])])  # fmt: skip
    flat = [d.data_unit("w", SHAPE, ramp(), profile=p) for p in (0, 1)]
    sequence("another-profile-in-a-later-stream", "A decoder that keeps the profile of an earlier stream.", "framing",
             [d.mps(1), flat[1]], [d.mps(0), flat[0]], [d.mps(1), flat[1]], profiles=(1, 0, 1))  # fmt: skip
    short = d.data_unit("w", SHAPE, ramp(), unary=1)
    sequence("unary-length-of-an-earlier-unit", "A decoder that keeps an element where it is absent in the next unit.", "cabac-unary-length",
             [d.mps(), short, d.data_unit("v", SHAPE, ramp())], [d.mps(), w])  # fmt: skip
    made = Series("no parent signalling")
    made.update((0, 4, 1))
    made.add(
        d.lps(density=2, qp=0),
        d.data_unit("w", _MATRIX, TensorScript(drawn_values(made.rng, 0.6, 4)), node=(0, 4, 1)),
    )
    made.update((0, 4, 2), d.child_of(), history=True)
    suite.add("state/no-parent-signalling-in-a-later-stream", "A decoder that keeps the parent signalling of an earlier stream.",
              _UPDATE, made.streams, clauses=("2.1", "5.6.1"), comment="Decision 0021.")  # fmt: skip


def _gaps(suite: Collection) -> None:
    made = Series("gap on the unit's own device")
    made.update((1, 4, 3))
    made.update((1, 4, 1), d.child_of(2))
    made.update((1, 4, 2), d.child_of(1), history=True)
    suite.add("parent/gap-on-the-units-own-device", "A decoder that looks for missed updates on the unit's device instead of the parent's.",
              _UPDATE, made.streams, clauses=("5.6.1",), comment="Decision 0015.")  # fmt: skip
    made = Series("another parameter")
    made.update((0, 5, 1))
    made.update((0, 4, 1), d.child_of(0))
    suite.add("parent/gap-of-another-parameter", "A decoder that looks for missed updates of any parameter.", _UPDATE, made.streams,
              clauses=("5.6.1",), comment="Decision 0015.")  # fmt: skip


def _without_node(suite: Collection) -> None:
    add = suite.add
    sent = {"parameter_id": 4, "put_node_depth": 2}
    for name, digest in (("sha256", hashlib.sha256), ("sha512", hashlib.sha512)):
        made = Series(f"without node {name}")
        made.update((0, 4, 1))
        made.update(None, d.child_of() | sent)
        made.update((0, 4, 2), d.child_of_digest(digest(made.payload(1)).digest()), history=True)
        made.update((0, 4, 3), d.child_of(), history=True)
        add(f"parent/unit-without-node-by-{name}", "A decoder that does not remember a unit without node by its digest.", _UPDATE,
            made.streams, clauses=("5.6.1",), comment="Decision 0012.")  # fmt: skip
    made = Series("without node displaces nothing")
    made.update((0, 4, 1))
    made.update((0, 4, 2), d.child_of())
    made.update(None, d.child_of() | sent)
    made.update((0, 4, 3), d.child_of(), history=True)
    add("parent/unit-without-node-displaces-nothing", "A decoder that remembers a unit without node under the node of its elements.",
        _UPDATE, made.streams, clauses=("5.6.1",), comment="Decision 0012.")  # fmt: skip
    made = Series("without node and parent")
    made.update(None, d.child_of() | {"parameter_id": 4, "put_node_depth": 3})
    add("parent/unit-without-node-without-parent", "A decoder that rejects a unit without node because its parent was not sent.",
        _UPDATE, made.streams, clauses=("5.6.1",), comment="Decision 0015.")  # fmt: skip
    made = Series("parts by digest")
    made.add(d.mps(parents=1), made.unit((0, 4, 1), part_bytes=5))
    made.update((0, 4, 2), d.child_of_digest(hashlib.sha256(made.payload(0)).digest()), history=True)
    add("parent/digest-of-a-unit-in-parts", "A decoder that digests one part of a payload.", f"{_UPDATE} partial-units", made.streams,
        clauses=("5.6.1",))  # fmt: skip
    _one_payload_twice(suite)


def _one_payload_twice(suite: Collection) -> None:
    """Add two units of one payload and different histories: the later one stands under the digest."""
    for order in ("longer-history-last", "shorter-history-last"):
        made = Series("one payload twice")
        levels = [made.rng.randint(-2, 2) for _ in range(30)]
        sparse = [0] * 20 + [1, -1] * 5
        made.update((0, 4, 1), script=TensorScript(levels))
        parents = [d.child_of(9, temporal=0), d.child_of(0, temporal=0)]  # device 9 has no updates
        if order == "shorter-history-last":
            parents.reverse()
        for parent in parents:
            made.update((8, 4, 2), parent, script=TensorScript(sparse))
        if made.payload(1) != made.payload(2):
            raise ValueError("the payloads differ")
        made.update((0, 4, 7), d.child_of_digest(hashlib.sha256(made.payload(2)).digest()), history=True)
        suite.add(f"parent/one-payload-twice-{order}", "A decoder that keeps the earlier of two units of one digest.",
                  f"{_UPDATE} history-context", made.streams, clauses=("5.6.1", "5.6.3"))  # fmt: skip


def _raw_units(suite: Collection) -> None:
    made = Series("raw displaces nothing")
    made.update((0, 4, 1))
    for shape, size in ((_MATRIX, 120), ((3,), 12)):
        made.update((0, 4, 1), script=made.rng.randbytes(size), shape=shape, kind=d.RAW)
    made.update((0, 4, 2), d.child_of(), history=True)
    suite.add("parent/raw-unit-displaces-nothing", "A decoder that lets a raw unit take the place of a remembered node.",
              f"{_UPDATE} raw-float", made.streams, clauses=("5.6.1",), comment="Decision 0021.")  # fmt: skip
    made = Series("raw payload of a remembered digest")
    made.update((0, 4, 1))
    while len(made.payload(0)) % 4:
        made.streams.clear()
        made.update((0, 4, 1))
    payload = made.payload(0)
    made.update((0, 5, 1), script=payload, shape=(len(payload) // 4,), kind=d.RAW, name="r")
    made.update((0, 4, 2), d.child_of_digest(hashlib.sha256(payload).digest()), history=True)
    suite.add("parent/raw-unit-with-a-remembered-digest", "A decoder that lets a raw unit take the place of a remembered digest.",
              f"{_UPDATE} raw-float", made.streams, clauses=("5.6.1",), comment="Decision 0021.")  # fmt: skip
    made = Series("raw is no parent")
    made.update((0, 4, 0), script=made.rng.randbytes(120), kind=d.RAW)
    made.update((0, 4, 1), d.child_of())
    suite.add("parent/raw-unit-is-none", "A decoder that remembers a raw unit.", f"{_UPDATE} raw-float", made.streams,
              clauses=("5.6.1",), comment="Decision 0021.")  # fmt: skip
    made = Series("raw with a parent")
    made.update((0, 4, 1))
    made.update((0, 4, 2), d.child_of(), script=made.rng.randbytes(120), kind=d.RAW)
    made.update((0, 4, 2), d.child_of(), history=True)
    made.update((3, 6, 1), d.child_of(5), script=made.rng.randbytes(120), kind=d.RAW)
    suite.add("parent/raw-unit-with-a-parent", "A decoder that cannot parse the parent of a raw unit.", f"{_UPDATE} raw-float",
              made.streams, clauses=("5.6.1",))  # fmt: skip


def add_state_faults(m: Damager) -> None:
    """Add sequences whose last stream needs what it shall not inherit, or breaks the rules of parents."""
    plain, listed = m.of(PLAIN0), "core/topology/reference-list"
    m.add("state/no-density-in-a-later-stream", "A decoder that keeps the density of an earlier stream.", "qp-density",
          [plain, without_unit(plain, 1)], "malformed", "payload", parent=PLAIN0, mutation="a second stream without parameter set",
          stream=1, clauses=("2.1", "4.1"))  # fmt: skip
    silent = d.write_stream([d.start(0), d.mps(0, methods=4)]) + without_unit(without_unit(plain, 0), 0)
    m.add("state/no-density-in-a-later-model-set", "A decoder that keeps the density of an earlier stream where the model set brings none.",
          "qp-density", [plain, silent], "malformed", "payload", parent=PLAIN0, mutation="a second stream with mps_quantization_method_flags=4",
          stream=1, clauses=("2.1", "4.1"))  # fmt: skip
    m.add("state/no-reference-list-in-a-later-stream", "A decoder that keeps the reference list of an earlier stream.", "indexed-reference",
          [m.of(listed), without_unit(m.of(listed), 2)], "malformed", "header", parent=listed, mutation="a second stream without reference list",
          stream=1, element="topology_elem_id_index", clauses=("2.1", "3.2.1"))  # fmt: skip
    _parent_faults(m)


def _parent_faults(m: Damager) -> None:
    parent = "extended/incremental/temporal"

    def fault(
        name: str,
        purpose: str,
        made: Series,
        unit: d.UnitDraft,
        mutation: str,
        element: str,
        features: str = _UPDATE,
    ) -> None:
        made.add(d.mps(parents=1), unit)
        m.add(f"sequence/{name}", purpose, features, made.streams, "malformed", "sequence", parent=parent, mutation=mutation,
              element=element, stream=len(made.streams) - 1, clauses=("5.6.1",), comment="Decision 0015.")  # fmt: skip

    octets = bytes(16)
    made = Series("gap on the parent's device")
    made.update((0, 4, 1))
    fault("gap-on-the-parents-device", "A decoder that looks for missed updates on the unit's device instead of the parent's.", made,
          made.unit((1, 4, 3), d.child_of(0, temporal=0), script=octets), "parent (0, 4, 2) of a unit of device 1 was not sent", "put_node_depth")  # fmt: skip
    made = Series("first update missed")
    fault("first-update-missed", "A decoder that begins a sequence at its second update.", made,
          made.unit((0, 4, 2), d.child_of(0, temporal=0), script=octets), "parent (0, 4, 1) was not sent, nor any update", "put_node_depth")  # fmt: skip
    made = Series("first update of another device missed")
    fault("first-update-missed-on-another-device", "A decoder that decodes levels whose contexts need an update that was not sent.", made,
          made.unit((1, 4, 3), d.child_of(0), script=octets), "temporal contexts of parent (0, 4, 2), which was not sent", "put_node_depth")  # fmt: skip
    made = Series("deeper than the parent")
    made.update((0, 4, 5))
    fault("only-a-deeper-update-is-known", "A decoder that looks for missed updates of a lower depth only.", made,
          made.unit((0, 4, 2), d.child_of(0), script=octets), "parent (0, 4, 1) was not sent, (0, 4, 5) was", "put_node_depth")  # fmt: skip
    made = Series("gap without node")
    made.update((0, 4, 1))
    made.update(None, d.child_of() | {"parameter_id": 4, "put_node_depth": 2})
    fault("unit-without-node-is-no-parent", "A decoder that remembers a unit without node under the node of its elements.", made,
          made.unit((0, 4, 3), d.child_of(0), script=octets), "parent (0, 4, 2) was sent without node", "put_node_depth")  # fmt: skip
    for name, shape in (("a-raw-unit", _MATRIX), ("a-raw-unit-of-one-dimension", (30,))):
        made = Series("gap of a raw unit")
        made.update((0, 4, 1))
        raw = made.unit((0, 4, 3), d.child_of(0), script=bytes(120), shape=shape, kind=d.RAW)
        fault(f"gap-of-{name}", "A decoder that does not apply the rules of parents to raw units.", made, raw,
              "parent (0, 4, 2) was not sent", "put_node_depth", f"{_UPDATE} raw-float")  # fmt: skip
        made = Series("shape of a raw unit")
        made.update((0, 4, 1))
        raw = made.unit(
            (0, 4, 2), d.child_of(0), script=bytes(120), shape=(30,) if shape == (30,) else (5, 6), kind=d.RAW
        )
        fault(f"shape-of-{name}", "A decoder that does not apply the rules of parents to raw units.", made, raw,
              "the previous update has the shape 6 x 5", "tensor_dimensions", f"{_UPDATE} raw-float")  # fmt: skip
    made = Series("number of tensors")
    made.update((0, 4, 1))
    block = d.data_unit(
        ["w", "b"], _MATRIX, octets, kind=d.BLOCK, types=8, node=(0, 4, 2), parents=1, parent=d.child_of(0)
    )
    fault("parent-of-fewer-tensors", "A decoder that compares the shape of the weight only.", made, block,
          "the previous update has one tensor", "compressed_parameter_types", f"{_UPDATE} block-payload")  # fmt: skip
