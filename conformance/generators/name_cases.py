# SPDX-License-Identifier: Apache-2.0
"""Cases of names: UTF-8 at its borders, names that differ little, names that occur twice."""

from __future__ import annotations

from conformance.generators import draft as d
from conformance.generators.case import Collection
from conformance.generators.damage import PLAIN0, Damager, assigned, rebuilt
from conformance.generators.plain import one
from conformance.generators.script import TensorScript

#: Characters at the borders of the four lengths of UTF-8, of the surrogates and of Unicode.
BORDERS = "\x7f\x80\u07ff\u0800\ud7ff\ue000\ufeff\uffff\U00010000\U0010ffff"

#: Byte strings that are not well-formed UTF-8.
ILL_FORMED = {
    "first-surrogate": b"\xed\xa0\x80", "last-surrogate": b"\xed\xbf\xbf", "surrogate-pair": b"\xed\xa0\x80\xed\xb0\x80",
    "overlong-2-of-zero": b"\xc0\x80", "overlong-2": b"\xc1\xbf", "overlong-3": b"\xe0\x9f\xbf", "overlong-4": b"\xf0\x8f\xbf\xbf",
    "beyond-unicode": b"\xf4\x90\x80\x80", "lead-f5": b"\xf5\x80\x80\x80", "five-bytes": b"\xf8\x88\x80\x80\x80",
    "continuation-alone": b"\x80", "cut-2": b"\xc3", "cut-3": b"\xe2\x82", "cut-4": b"\xf0\x90\x80", "ascii-inside": b"\xe2\x82A",
}  # fmt: skip


def add_names(suite: Collection, p: int) -> None:
    """Add the valid cases of both profiles."""
    units = [
        d.data_unit(f"{character}w", (2,), TensorScript([k, -k]), profile=p)
        for k, character in enumerate(BORDERS, 1)
    ]
    suite.add("names/utf8-borders", "A decoder that refuses characters at the borders of UTF-8's lengths.", "framing",
              d.write_stream([d.start(p), d.mps(p), *units]), elements=("topology_elem_id",), clauses=("1.3", "3.2.1"))  # fmt: skip
    names = ["w", "W", "w ", "w\u00e9", "we\u0301", "w.", "w_"]
    scripts = [TensorScript([k, 1 - k]) for k in range(6)] + [TensorScript([3, 1, -2, 4])]
    block = d.data_unit(names, (2, 2), scripts, kind=d.BLOCK, profile=p, types=2 | 4 | 8)
    suite.add("names/that-differ-little", "A decoder that folds case, trims or normalises names.", "block-payload multiple-elements",
              one(block, profile=p), clauses=("3.2.1",))  # fmt: skip
    if p == 0:
        indexed = d.mps(p, mps_topology_indexed_reference_flag=1)
        units = [d.data_unit(index, (2,), TensorScript([index, 5]), profile=p) for index in (2, 1)]
        suite.add("names/twice-in-a-reference-list", "A decoder that refuses a reference list with a name twice, or finds indices by name.",
                  "topology indexed-reference", d.write_stream([d.start(p), indexed, d.reference_list(["a", "b", "a"]), *units]),
                  clauses=("3.2.1",))  # fmt: skip
        again = [d.data_unit(name, (2,), TensorScript([k, -k]), profile=p) for k, name in enumerate("aba", 1)]
        suite.add("names/of-an-earlier-unit", "A decoder that keeps the first of two tensors of one name.", "framing",
                  d.write_stream([d.start(p), d.mps(p), *again]), clauses=("3.2.1",), comment="Decision 0018.")  # fmt: skip


def add_ill_formed_names(m: Damager) -> None:
    """Add the faults of names and other strings."""
    for name, octets in ILL_FORMED.items():
        text = octets.decode("utf-8", "surrogateescape")
        for place, value in (("", text), ("-inside", f"a{text}z")):
            if place and "cut" not in name:
                continue
            m.add(f"string/name-{name}{place}", "A decoder that takes ill-formed UTF-8 for text.", "float-payload",
                  rebuilt(m.of(PLAIN0), 2, assigned("topology_elem_id", value)), "malformed", "header", parent=PLAIN0,
                  mutation=f"topology_elem_id of bytes {octets.hex()}", element="topology_elem_id", clauses=("1.3",))  # fmt: skip
    surrogate = ILL_FORMED["first-surrogate"].decode("utf-8", "surrogateescape")
    listed, text, metric = (
        "core/topology/reference-list",
        "core/quantization-unit/text",
        "extended/mps/metric-type",
    )
    streams = {
        "reference-list": (listed, "topology_elem_id_list", "topology indexed-reference",
                           rebuilt(m.of(listed), 2, lambda tree: tree["topology_elements_ids_list"].update(
                               topology_elem_id_list=["a", "b", surrogate, "c"]))),
        "quantization-unit": (text, "quantization_data", "quantization-unit",
                              rebuilt(m.of(text), 2, assigned("quantization_data", surrogate))),
        "metric-type": (metric, "performance_metric_type", "model-parameter-set",
                        rebuilt(m.of(metric), 1, assigned("performance_metric_type", surrogate))),
    }  # fmt: skip
    for name, (parent, element, features, stream) in streams.items():
        m.add(f"string/{name}-surrogate", "A decoder that takes ill-formed UTF-8 for text.", features, stream, "malformed", "header",
              parent=parent, mutation=f"{element} with a surrogate", element=element, clauses=("1.3",))  # fmt: skip
    _twice(m)


def _twice(m: Damager) -> None:
    for name, names in (("first-and-last", ["w", "s", "w"]), ("last-two", ["s", "w", "w"])):
        unit = d.data_unit(names, (2, 2), bytes(8), kind=d.BLOCK, profile=0, types=2 | 8)
        m.add(f"names/twice-{name}", "A decoder that compares neighbouring names only.", "block-payload", one(unit), "malformed", "header",
              parent="core/block/types-10-scan-0", mutation=f"names {', '.join(names)}", element="topology_elem_id_list", clauses=("3.2.1",))  # fmt: skip
    for name, indices in (("same-index", [0, 1, 0]), ("same-name", [0, 1, 2])):
        unit = d.data_unit(indices, (2, 2), bytes(8), kind=d.BLOCK, profile=0, types=2 | 8)
        before = [d.mps(0, mps_topology_indexed_reference_flag=1), d.reference_list(["a", "b", "a"])]
        m.add(f"names/twice-by-{name}", "A decoder that compares indices instead of names, or neither.", "indexed-reference block-payload",
              one(unit, *before), "malformed", "header", parent="core/topology/long-reference-list", mutation=f"indices {indices}",
              element="topology_elem_id_index_list", clauses=("3.2.1",))  # fmt: skip
