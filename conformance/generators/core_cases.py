# SPDX-License-Identifier: Apache-2.0
"""Suite ``core``: profile 0, all features of edition 1."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.coding_cases import add_codebooks, add_entropy, add_scans
from conformance.generators.name_cases import add_names
from conformance.generators.part_cases import add_deflate, add_parts
from conformance.generators.plain import SHAPE, one, ramp
from conformance.generators.script import TensorScript, drawn_values
from conformance.generators.value_cases import add_values


def add_shared(suite: Collection) -> None:
    """Add the cases that both profiles share."""
    p = suite.profile
    plain = d.data_unit("w", SHAPE, ramp(), profile=p)
    _framing(suite, p, plain)
    if p == 0:
        _parameter_sets(suite, p)
        _topology(suite, p, plain)
    _payloads(suite, p)
    _shapes(suite, p)
    add_entropy(suite, p)
    add_scans(suite, p)
    add_codebooks(suite, p)
    add_values(suite, p)
    add_names(suite, p)
    if p == 0:
        add_parts(suite, p)
        add_deflate(suite, p)


def _framing(suite: Collection, p: int, plain: d.UnitDraft) -> None:
    add = suite.add
    write = d.write_stream
    add("framing/start-unit-alone", "A decoder that wants a tensor in every stream.", "framing",
        write([d.start(p)]))  # fmt: skip
    add("framing/no-data-unit", "A decoder that wants a data unit in every stream.", "framing model-parameter-set",
        write([d.start(p), d.mps(p)]))  # fmt: skip
    add("framing/plain", "Anything wrong in the simplest of quantised tensors.", "framing float-payload uniform",
        write([d.start(p), d.mps(p), plain]))  # fmt: skip
    long_unit = d.data_unit("w", SHAPE, ramp(), profile=p, long_form=True)
    add("framing/long-size-of-a-small-unit", "A decoder that takes a 31-bit size for an error, or for 32 bits.",
        "framing", write([d.start(p), d.mps(p), long_unit]))  # fmt: skip
    for kind in (7, 31, 32, 63):
        add(f"framing/unit-type-{kind}", "A decoder that stops at a unit it does not know instead of passing over it.",
            "framing reserved-units", write([d.start(p), d.unknown(kind), d.mps(p), d.unknown(kind, b""), plain]))  # fmt: skip
    dependent = d.data_unit("w", SHAPE, ramp(), profile=p)
    dependent.tree["independently_decodable_flag"] = 0
    add("framing/independently-decodable-0", "A decoder whose result depends on independently_decodable_flag.",
        "framing", write([d.start(p), d.mps(p), dependent]), elements=("independently_decodable_flag",))  # fmt: skip
    for size, count in ((1, "many"), (40, "one")):
        cut = d.data_unit("w", SHAPE, ramp(), profile=p, part_bytes=size)
        add(f"framing/parts-{count}", "A decoder that does not join the parts of a unit, or joins their headers too.",
            "framing partial-units", write([d.start(p), d.mps(p), cut]),
            comment="Decision 0003.")  # fmt: skip
    odd = d.write_stream([d.start(p), d.mps(p), plain])
    add("framing/trailing-unknown-unit", "A decoder that fails on an unknown unit at the end.", "reserved-units",
        odd + bytes([0, 3, 50 << 2]))  # fmt: skip
    two = [
        d.data_unit("a", (2, 2), TensorScript([1, 2, 3, 4]), profile=p),
        d.data_unit("b", (3,), TensorScript([-1]), profile=p),
    ]
    add("framing/two-tensors", "A decoder that keeps contexts or the state of one unit for the next.", "framing float-payload",
        write([d.start(p), d.mps(p), *two]))  # fmt: skip
    raw = d.data_unit("r", (64,), bytes(range(256)), kind=d.RAW, profile=p, part_bytes=1)
    add(
        "framing/parts-256",
        "A decoder that holds the number of parts in less than eight bits.",
        "framing partial-units raw-float",
        write([d.start(p), raw]),
        comment="Decision 0003.",
    )
    empty_name = d.data_unit("", (2,), TensorScript([1, -1]), profile=p)
    add("framing/empty-name", "A decoder that takes an empty name for none.", "framing", write([d.start(p), d.mps(p), empty_name]),
        elements=("topology_elem_id",))  # fmt: skip
    unicode_name = d.data_unit("größe/模型.weight", (2,), TensorScript([1, -1]), profile=p)
    add("framing/utf8-name", "A decoder that reads names as ASCII or Latin-1.", "framing",
        write([d.start(p), d.mps(p), unicode_name]), elements=("topology_elem_id",), clauses=("1.3",))  # fmt: skip


def _parameter_sets(suite: Collection, p: int) -> None:
    add = suite.add
    for density in range(8):
        for sign, parameter in (("", 11), ("minus", -37)):
            unit = d.data_unit("w", SHAPE, ramp(qp_value=-(1 << (5 + density))), profile=p)
            add(f"qp/density-{density}{'-' + sign if sign else ''}",
                "A wrong step size: the shift of QP by the density, its rounding for negative QP, or the width of qp_value.",
                "qp-density uniform", one(unit, d.mps(p, density=density, qp=parameter + (8 << density)), profile=p))  # fmt: skip
    for name, parameter, density in (
        ("largest-step", 1000 - 3, 3),
        ("subnormal-step", -1180, 3),
        ("exact-mantissa", 77, 7),
    ):
        unit = d.data_unit("w", SHAPE, TensorScript([1, -1, 2, 5] * 3), profile=p)
        add(f"qp/{name}", "A decoder that computes the step by a power function, or flushes subnormals to zero.",
            "qp-density uniform", one(unit, d.mps(p, density=density, qp=parameter), profile=p), clauses=("4.1",))  # fmt: skip
    huge = d.data_unit("w", (2,), TensorScript([(1 << 24) + 1, -(1 << 25) - 3]), profile=p)
    add("qp/level-beyond-24-bits", "A decoder that multiplies in double precision, or rounds the level otherwise than to binary32.",
        "uniform exp-golomb", one(huge, d.mps(p, qp=1), profile=p), clauses=("4.2",))  # fmt: skip
    infinite = d.data_unit("w", (3,), TensorScript([1, -1, 2]), profile=p)
    add("qp/infinite-step", "A decoder that fails where the step is beyond binary32.", "uniform qp-density",
        one(infinite, d.mps(p, density=0, qp=4000), profile=p), comment="Decision 0007.")  # fmt: skip
    for methods in (1, 2, 3, 5, 6, 7):
        unit = d.data_unit("w", SHAPE, ramp(), profile=p)
        add(f"mps/methods-{methods}", "A decoder that takes the method flags for a single method, or reads density and parameter under the wrong condition.",
            "model-parameter-set", one(unit, d.mps(p, methods=methods), profile=p))  # fmt: skip
    integer = d.data_unit("n", SHAPE, ramp(), kind=d.INT, profile=p)
    for methods in (0, 4):
        add(f"mps/methods-{methods}-integers", "A decoder that needs a quantisation parameter for integers.", "model-parameter-set integer-payload",
            one(integer, d.mps(p, methods=methods), profile=p))  # fmt: skip
    add("mps/absent", "A decoder that needs a model parameter set to decode integers.", "integer-payload framing",
        d.write_stream([d.start(p), integer]), clauses=("2.1",))  # fmt: skip
    carried = d.mps(p, topology_carriage_flag=1)
    add("mps/topology-carriage-without-topology", "A decoder that waits for the topology unit that the flag announces.", "model-parameter-set",
        one(d.data_unit("w", SHAPE, ramp(), profile=p), carried, profile=p), elements=("topology_carriage_flag",))  # fmt: skip
    a = d.data_unit("a", SHAPE, ramp(), profile=p)
    b = d.data_unit("b", SHAPE, ramp(), profile=p)
    c = d.data_unit("c", SHAPE, ramp(), profile=p)
    add("lps/replaces", "A decoder that applies a layer parameter set to earlier units, or ignores it.", "layer-parameter-set",
        d.write_stream([d.start(p), d.mps(p), a, d.lps(density=3, qp=5), b, d.lps(density=0, qp=-4), c]))  # fmt: skip
    add("lps/silent", "A decoder that forgets the quantisation in force at a layer parameter set that brings none.", "layer-parameter-set",
        d.write_stream([d.start(p), d.mps(p), a, d.lps(density=3, qp=5), b, d.lps(density=None), c]),
        comment="Decision 0006.")  # fmt: skip
    add("lps/alone", "A decoder that takes the density from a model parameter set only.", "layer-parameter-set",
        d.write_stream([d.start(p), d.lps(density=3, qp=5), a]))  # fmt: skip
    add("lps/self-contained", "A decoder that reads the flag as something else.", "layer-parameter-set",
        d.write_stream([d.start(p), d.mps(p), d.lps(lps_self_contained_flag=1), a]), elements=("lps_self_contained_flag",))  # fmt: skip
    _performance_maps(suite, p, a)


def _performance_maps(suite: Collection, p: int, unit: d.UnitDraft) -> None:
    entry = {
        "spm_nn_accuracy": 0.75,
        "spm_count_classes": 2,
        "spm_class_bitmask": 3,
        "spm_nn_class_accuracy": [0.5, 0.25],
    }

    def entries(prefix: str, **more: Any) -> dict[str, Any]:
        return {**more, **{key.replace("spm_", prefix + "_"): value for key, value in entry.items()}}

    maps: dict[str, tuple[str, str, Callable[[int], list[dict[str, Any]]]]] = {
        "sparsification": ("mps_sparsification_flag", "spm_count_thresholds",
                           lambda n: [entries("spm", sparsification_threshold=0.1, non_zero_ratio=1.5) for _ in range(n)]),
        "pruning": ("mps_pruning_flag", "ppm_count_pruning_ratios",
                    lambda n: [entries("ppm", pruning_ratio=0.5) for _ in range(n)]),
        "unification": ("mps_unification_flag", "upm_count_thresholds",
                        lambda n: [entries("upm", count_reshaped_tensor_dimension=3, reshaped_tensor_dimensions=[1, 300],
                                           count_super_block_dimension=2, super_block_dimensions=[9],
                                           count_block_dimension=1 + k, block_dimensions=[4] * k,
                                           unification_threshold=0.25) for k in range(n)]),
        "decomposition": ("mps_decomposition_performance_map_flag", "dpm_count_thresholds",
                          lambda n: [{"mse_threshold": 0.5, "dpm_nn_accuracy": 0.5, "nn_reduction_ratio": 2.0,
                                      "dpm_count_classes": 2, "dpm_nn_class_accuracy": [0.5, b"\1\0\xa0\x7f"]} for _ in range(n)]),
    }  # fmt: skip
    for name, (flag, count, make) in maps.items():
        for n in (0, 1, 3):
            table: Any = {count: n, "entry": make(max(0, n - 1))}
            suite.add(f"maps/{name}-{n}", "A decoder that loops count times instead of count less one, or loses its place in the map.",
                      "performance-maps model-parameter-set",
                      one(unit, d.mps(p, **{flag: 1, f"{name}_performance_map": table}), profile=p),
                      comment="Decision 0001.", elements=(flag, count))  # fmt: skip
    mask: dict[str, Any] = {
        "spm_count_thresholds": 2,
        "entry": [entries("spm", sparsification_threshold=0.1, non_zero_ratio=0.0)],
    }
    mask["entry"][0]["spm_class_bitmask"] = (1 << 255) - 1
    suite.add("maps/class-bitmask-255-bits", "A decoder that holds a class bit mask in 32 or 64 bits.", "performance-maps",
              one(unit, d.mps(p, mps_sparsification_flag=1, sparsification_performance_map=mask), profile=p),
              comment="Decision 0004.", clauses=("1.2",), elements=("spm_class_bitmask",))  # fmt: skip
    largest: dict[str, Any] = {
        "spm_count_thresholds": 2,
        "entry": [entries("spm", sparsification_threshold=0.1, non_zero_ratio=0.0)],
    }
    largest["entry"][0]["spm_class_bitmask"] = (1 << 256) - 1
    suite.add(
        "maps/class-bitmask-largest",
        "A decoder that refuses the largest class bit mask.",
        "performance-maps",
        one(unit, d.mps(p, mps_sparsification_flag=1, sparsification_performance_map=largest), profile=p),
        comment="Decision 0004.",
        elements=("spm_class_bitmask",),
    )
    every: dict[str, Any] = {
        f"lps_{name}_flag": 1 for name in ("sparsification", "pruning", "unification")
    } | {
        f"{name}_performance_map": {maps[name][1]: 2, "entry": maps[name][2](1)}
        for name in ("sparsification", "pruning", "unification")
    }
    suite.add("maps/in-a-layer-parameter-set", "A decoder that knows performance maps in the model parameter set only.",
              "performance-maps layer-parameter-set", one(unit, d.mps(p), d.lps(**every), profile=p))  # fmt: skip


def _topology(suite: Collection, p: int, plain: d.UnitDraft) -> None:
    text = b'{"nodes": ["conv", "relu", "conv", "relu"]}'
    bare = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = bare.compress(text) + bare.flush()
    cases = {
        "empty-string": d.topology(b"\0"), "empty": d.topology(b""), "text": d.topology(text + b"\0", 3),
        "not-ended": d.topology(text, 2), "two-zeros": d.topology(b"ab\0\0", 0), "nnef": d.topology(text, 1),
        "tensorflow": d.topology(b"\x08\x01\xff\xfe", 4), "pruning-container": d.topology(b"\x80\0\1\2", 5),
        "deflate-zlib": d.topology(zlib.compress(text), 3, 1), "deflate-bare": d.topology(deflated, 0, 1),
        "deflate-and-a-zero": d.topology(zlib.compress(text) + b"\0", 0, 1),
        "pruning-container-deflate-flag": d.topology(b"\x80\0", 5, 1),
    }  # fmt: skip
    for name, unit in cases.items():
        suite.add(f"topology/{name}", "A decoder that reads topology_data otherwise than as all bytes of the unit.", "topology",
                  d.write_stream([d.start(p), d.mps(p), unit, plain]), comment="Decision 0002.",
                  elements=("nnr_pruning_topology_container",) if "pruning" in name else ("topology_data",))  # fmt: skip
    suite.add("topology/behind-data-and-twice", "A decoder that wants one topology unit, before the data.", "topology",
              d.write_stream([d.start(p), d.mps(p), plain, d.topology(), d.topology(text)]))  # fmt: skip
    names = ["a", "b.weight", "", "größe"]
    indexed = d.mps(p, mps_topology_indexed_reference_flag=1)
    units = [
        d.data_unit(3, (2,), TensorScript([1, 2]), profile=p),
        d.data_unit(0, (2, 2), TensorScript([1, 2, -3]), profile=p),
    ]
    suite.add("topology/reference-list", "A decoder that counts the indices of a reference list from 1, or has none.",
              "topology indexed-reference", d.write_stream([d.start(p), indexed, d.reference_list(names), *units]),
              elements=("topology_elem_id_list",))  # fmt: skip
    suite.add("topology/two-reference-lists", "A decoder that keeps the first reference list.", "topology indexed-reference",
              d.write_stream([d.start(p), indexed, d.reference_list(names), units[0], d.reference_list(["x", "y"]), units[1]]))  # fmt: skip
    many = [f"n{k}" for k in range(131)]
    block = d.data_unit(
        [129, 130],
        (2, 3),
        [TensorScript([1, 2]), TensorScript([1, -1, 2, 0, 3])],
        kind=d.BLOCK,
        profile=p,
        types=8,
    )
    suite.add(
        "topology/long-reference-list",
        "A decoder that aligns a list of names or of indices wrongly where it does not end on a byte.",
        "topology indexed-reference block-payload",
        d.write_stream([d.start(p), indexed, d.reference_list(many), block]),
        elements=("topology_elem_id_index_list", "byte_alignment"),
    )
    for name, content in (
        ("text", "scale"),
        ("utf8", "größe"),
        ("empty", ""),
        ("deflate", zlib.compress(b"sc\0ale")),
    ):
        suite.add(f"quantization-unit/{name}", "A decoder that does not pass over a quantisation unit.", "quantization-unit",
                  d.write_stream([d.start(p), d.mps(p), d.quantization_unit(content, 7), plain]))  # fmt: skip


def _payloads(suite: Collection, p: int) -> None:
    add = suite.add
    rng = rng_of("payloads")
    extremes = [(1 << 31) - 1, -(1 << 31), 0, 1, -1, 127, -128, 255, 65535, -65536, 1 << 30, -(1 << 30)]
    for unary in (1, 2, 10, 256):
        unit = d.data_unit("n", (3, 4), TensorScript(extremes), kind=d.INT, profile=p, unary=unary)
        add(f"integers/extremes-unary-{unary}", "A decoder whose escapes overflow 31 bits, or that holds levels in less than 32.",
            "integer-payload exp-golomb cabac-unary-length", one(unit, profile=p))  # fmt: skip
    for scan in (0, 1):
        unit = d.data_unit(
            "n", (17, 9), TensorScript(drawn_values(rng, 0.6, 40)), kind=d.INT, profile=p, dq=1, scan=scan
        )
        add(f"integers/dq-flag-scan-{scan}", "A decoder that runs dependent quantisation on integers because dq_flag is 1.",
            "integer-payload dependent-quantization", one(unit, profile=p), comment="Decision 0009.")  # fmt: skip
    numbers = [0.0, -0.0, 1.5, float("inf"), -float("inf"), 1e-45, 3.4028234663852886e38]
    octets = struct.pack("<7f", *numbers) + b"\1\0\x80\x7f" + b"\0\0\xc0\xff"
    for shape in ((9,), (3, 3), (1, 9, 1), (9, 1)):
        unit = d.data_unit("r", shape, octets, kind=d.RAW, profile=p)
        add(f"raw/{'x'.join(map(str, shape))}", "A decoder that changes NaN payloads, signed zeros or subnormals, or takes the other byte order.",
            "raw-float", one(unit, profile=p))  # fmt: skip
    in_middle = [
        d.data_unit("r", (2,), octets[:8], kind=d.RAW, profile=p),
        d.data_unit("w", SHAPE, ramp(), profile=p),
    ]
    add("raw/before-another-unit", "A decoder that cannot go on behind a raw unit.", "raw-float",
        d.write_stream([d.start(p), d.mps(p), *in_middle]))  # fmt: skip
    without_mps = d.data_unit("r", (2,), octets[:8], kind=d.RAW, profile=p)
    add("raw/without-parameter-set", "A decoder that needs a quantisation parameter for raw values.", "raw-float",
        d.write_stream([d.start(p), without_mps]))  # fmt: skip
    scanned = d.data_unit("r", (20, 2), rng.randbytes(160), kind=d.RAW, profile=p, scan=1)
    add("raw/scan-order", "A decoder that scans raw values by blocks.", "raw-float block-scan", one(scanned, profile=p))  # fmt: skip
    for number in range(10):
        kind, values = (
            (d.INT, TensorScript([1, -1, 0, 1]))
            if number in (0, 2, 3, 4, 5, 6, 7)
            else (d.FLOAT, TensorScript([1, -1, 0, 1], qp_value=20))
        )
        unit = d.data_unit("w", (2, 2), values, kind=kind, profile=p, data_format=number)
        add(f"format/{number}", "A decoder that fails on a hint about the source's data type.", "decompressed-format",
            one(unit, profile=p), comment="Decision 0010.")  # fmt: skip
    for types in range(16):
        _block(suite, p, types)
    for name in ("w_G", "w_H"):
        shape = (12, 3)
        count = 12 if name == "w_G" else 9
        unit = d.data_unit(
            name,
            shape,
            TensorScript(drawn_values(rng_of(name), 0.7, 9)),
            profile=p,
            types=1,
            rank=3,
            g_rows=4,
        )
        add(f"low-rank/outside-a-block-{name[-1].lower()}", "A decoder that does not take the shape of a factor from rank and rows.",
            "low-rank", one(unit, profile=p), options={"elements": count})  # fmt: skip


def _block(suite: Collection, p: int, types: int) -> None:
    rng = rng_of(f"block {types}")
    parts = [
        name
        for bit, group in ((2, ["ls"]), (4, ["beta", "gamma", "mean", "var"]), (8, ["bias"]))
        if types & bit
        for name in group
    ]
    names = (["w_G", "w_H"] if types & 1 else ["w"]) + parts
    features = "block-payload" + " low-rank" * (types & 1) + " local-scaling" * (types >> 1 & 1)
    features += " batch-norm" * (types >> 2 & 1) + " bias" * (types >> 3 & 1)
    for scan, dq in ((0, 0), (1, 1)):
        scripts = [TensorScript(drawn_values(rng, 0.7, 6), qp_value=rng.randint(-8, 8)) for _ in names]
        single = names[0] if len(names) == 1 else names
        unit = d.data_unit(single, (18, 10), scripts, kind=d.BLOCK, profile=p, types=types, rank=9 if types & 1 else 0,
                           g_rows=20 if types & 1 else 0, scan=scan, dq=dq)  # fmt: skip
        suite.add(f"block/types-{types:02}-scan-{scan}", "A decoder with the wrong order of names or data in a block, or of its entry points.",
                  features + (" block-scan entry-points" if scan else ""), one(unit, profile=p), clauses=("3.4",),
                  comment="Decision 0011." if scan and types & 1 else "")  # fmt: skip


def _shapes(suite: Collection, p: int) -> None:
    for shape in (
        (),
        (0,),
        (0, 5),
        (5, 0),
        (0, 0),
        (1,),
        (1, 1),
        (7, 1),
        (1, 7),
        (1, 1, 5),
        (2, 3, 2, 2),
        (1,) * 9,
    ):
        name = "x".join(map(str, shape)) or "scalar"
        total = 1
        for dimension in shape:
            total *= dimension
        for scan in (0, 2) if len(shape) > 1 and 0 not in shape else (0,):
            for kind in (d.FLOAT, d.INT):
                if kind == d.INT and scan:
                    continue
                unit = d.data_unit("w", shape, TensorScript([(-1) ** k * (k + 1) for k in range(total)], qp_value=5), kind=kind,
                                   profile=p, scan=scan, dq=int(scan > 0))  # fmt: skip
                empty = "Decision 0005." if 0 in shape or not shape else ""
                suite.add(f"shape/{name}{'-scan' if scan else ''}{'-int' if kind == d.INT else ''}",
                          "A decoder that gives the tensor another shape, or fails on one without elements or with one row.",
                          "float-payload" if kind == d.FLOAT else "integer-payload", one(unit, profile=p), comment=empty,
                          elements=("count_tensor_dimensions", "tensor_dimensions"))  # fmt: skip
    column = d.data_unit("w", (20, 1), TensorScript([3, -1] * 10), profile=p, scan=1)
    suite.add("shape/column-with-entry-points", "A decoder that scans a column by blocks, or does not read its meaningless entry points.",
              "block-scan entry-points", one(column, profile=p))  # fmt: skip
