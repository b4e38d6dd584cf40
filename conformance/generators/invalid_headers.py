# SPDX-License-Identifier: Apache-2.0
"""Invalid vectors with faults in parameter sets, topology units and headers of data units."""

from __future__ import annotations

import zlib
from typing import Any

from conformance.generators import draft as d
from conformance.generators.damage import (
    PLAIN0,
    PLAIN1,
    Damager,
    assigned,
    events_of,
    rebuilt,
    resized,
    with_unit,
    without_unit,
    written_over,
)
from nnr_codec.syntax import iter_unit_spans
from nnr_codec.syntax.state import SyntaxState


def add_headers(m: Damager) -> None:
    """Add faults of the start unit."""
    for profile in (2, 3, 255):
        m.edit(f"start/profile-{profile}", "A decoder that decodes a later edition as if it were its own.", "framing", PLAIN0,
               "nnr_unit[0].general_profile_idc", profile, "unsupported")  # fmt: skip
    m.add("start/too-long", "A decoder that accepts bytes behind a start unit's header.", "framing", resized(m.of(PLAIN0), 0, b"\0"),
          "malformed", "header", parent=PLAIN0, mutation="a byte more", element="nnr_unit_size")  # fmt: skip
    m.add("start/too-short", "A decoder that reads the profile from the next unit.", "framing truncation", resized(m.of(PLAIN0), 0, 1),
          "truncated", "header", parent=PLAIN0, mutation="a byte less", element="general_profile_idc")  # fmt: skip


def add_parameter_sets(m: Damager) -> None:
    """Add faults of parameter sets, alignments, Exp-Golomb codes and strings."""
    for bit in range(7):
        m.edit(f"reserved/mps-profile-0-bit-{bit}", "A decoder that ignores reserved bits.", "reserved-bits model-parameter-set", PLAIN0,
               "nnr_unit[1].nnr_reserved_zero_7bits", 1 << bit, comment="Decision 0016.")  # fmt: skip
    for path, value in (
        ("nnr_reserved_zero_1bit", 1),
        ("nnr_reserved_zero_2bits", 1),
        ("nnr_reserved_zero_2bits", 2),
    ):
        m.edit(f"reserved/mps-profile-1-{path.replace('_', '-')}-{value}", "A decoder that ignores reserved bits.",
               "reserved-bits model-parameter-set", PLAIN1, f"nnr_unit[1].{path}", value, comment="Decision 0016.")  # fmt: skip
    lps = "core/lps/replaces"
    for bit in range(7):
        m.edit(f"reserved/lps-header-bit-{bit}", "A decoder that ignores reserved bits.", "reserved-bits layer-parameter-set", lps,
               "nnr_unit[3].nnr_reserved_zero_7bits", 1 << bit, comment="Decision 0016.")  # fmt: skip
    for key in ("nnr_reserved_zero_1bit", "nnr_reserved_zero_1bit_2"):
        m.edit(f"reserved/lps-{key.replace('_', '-')}", "A decoder that ignores reserved bits.", "reserved-bits layer-parameter-set", lps,
               f"nnr_unit[3].{key}", 1, comment="Decision 0016.")  # fmt: skip
    for index, parent in ((1, PLAIN0), (3, lps), (1, "core/maps/sparsification-1")):
        trace = events_of(m.of(parent))
        event = trace.by_path(f"nnr_unit[{index}].byte_alignment")
        assert event is not None
        for value in {0, (1 << event.n_bits) - 1, (1 << (event.n_bits - 1)) | 1}:
            if value == 1 << (event.n_bits - 1):
                continue
            octets, bits = written_over(m.of(parent), event.path, value)
            m.add(f"alignment/{parent.split('/')[1]}-{parent.split('/')[2]}-{value:02x}", "A decoder that ignores the alignment's pattern.", "alignment", octets, "malformed",
                  "header", parent=parent, mutation=f"{event.path}={value}", element="byte_alignment", bits=bits)  # fmt: skip
    for parent, index, what in (
        (PLAIN0, 1, "mps"),
        (lps, 3, "lps"),
        ("core/quantization-unit/text", 2, "qnt"),
        ("core/topology/reference-list", 2, "reference-list"),
    ):
        stream = m.of(parent)
        m.add(f"size/{what}-a-byte-more", "A decoder that accepts bytes behind a payload.", "framing", resized(stream, index, b"\0"), "malformed",
              "header", parent=parent, mutation="a zero byte more at the unit's end", element="nnr_unit_size")  # fmt: skip
        for less in (1, 2):
            m.add(f"size/{what}-{less}-less", "A decoder that reads a unit's payload from the unit behind it.", "truncation",
                  resized(stream, index, less), "truncated", "header", parent=parent, mutation=f"{less} bytes less at the unit's end",
                  element="nnr_unit_size")  # fmt: skip
    mask = "core/maps/class-bitmask-255-bits"
    stream = rebuilt_mask(m.of(mask))
    m.add("exp-golomb/class-bitmask-too-large", "A decoder that follows an Exp-Golomb prefix without end.", "performance-maps", stream,
          "malformed truncated", "header", parent=mask, mutation="prefix of zeros", element="spm_class_bitmask", comment="Decision 0004.")  # fmt: skip
    body = bytes([5 << 2 | 2, 0b00001001]) + b"w\0" + b"\x80" + bytes(8)
    head = m.of(PLAIN1)
    head = head[: list(iter_unit_spans(head))[2].byte_offset]
    m.add(
        "exp-golomb/zeros-to-the-end",
        "A decoder that follows a prefix beyond the largest value, to the end of the unit.",
        "node-ids",
        head + (len(body) + 2).to_bytes(2, "big") + body,
        "malformed",
        "header",
        parent=PLAIN1,
        mutation="device_id of zeros up to the unit's end",
        element="device_id",
        clauses=("1.2",),
        comment="Decision 0004.",
    )
    for element, value, owner, index in (
        ("device_id", 1 << 32, "extended/nodes/large", 2),
        ("put_node_depth", (1 << 32) + 1, "extended/nodes/large", 2),
        ("spm_class_bitmask", 1 << 256, mask, 1),
    ):
        m.add(
            f"exp-golomb/{element.replace('_', '-')}-just-too-large",
            "A decoder that lets a value pass that is one too large.",
            "performance-maps" if index == 1 else "node-ids",
            beyond_maximum(m.of(owner), index, element, value),
            "malformed",
            "header",
            parent=owner,
            mutation=f"{element}={value}",
            element=element,
            clauses=("1.2",),
            comment="Decision 0004.",
        )
    for what, parent in (
        ("base-model-id", "extended/mps/base-model-id"),
        ("metric-type", "extended/mps/metric-type"),
    ):
        element = "base_model_id" if what.startswith("base") else "performance_metric_type"
        octets = rebuilt(m.of(parent), 1, assigned(element, "\udcff\udcfe"))
        m.add(f"string/{what}-not-utf8", "A decoder that hands on what is not UTF-8.", "model-parameter-set", octets, "malformed", "header",
              parent=parent, mutation=f"{element} of bytes ff fe", element=element, clauses=("1.3",))  # fmt: skip


def beyond_maximum(stream: bytes, index: int, element: str, value: int) -> bytes:
    """Build a unit with an Exp-Golomb value above the maximum of its element."""
    from conformance.generators.grammar_map import walk_grammar

    declared = [member for _, member in walk_grammar() if getattr(member, "name", None) == element]
    kept = [member.maximum for member in declared]
    for member in declared:
        member.maximum = 2 * value

    def change(tree: dict[str, Any]) -> None:
        if element in tree:
            tree[element] = value
        else:
            tree["sparsification_performance_map"]["entry"][0][element] = value

    try:
        return rebuilt(stream, index, change)
    finally:
        for member, maximum in zip(declared, kept, strict=True):
            member.maximum = maximum


def rebuilt_mask(stream: bytes) -> bytes:
    """Replace the prefix of a class bit mask by zeros."""
    event = next(e for e in events_of(stream) if e.element == "spm_class_bitmask")
    whole, shift = int.from_bytes(stream, "big"), 8 * len(stream) - event.bit_offset - event.n_bits
    return (whole & ~(((1 << event.n_bits) - 1) << shift)).to_bytes(len(stream), "big")


def add_topology(m: Damager) -> None:
    """Add faults of topology and quantisation units."""
    parent = "core/topology/text"
    for value in (7, 8, 255):
        m.edit(f"topology/storage-{value}", "A decoder that takes a reserved storage format for text.", "topology", parent,
               "nnr_unit[2].topology_storage_format", value)  # fmt: skip
    for value in (2, 255):
        m.edit(f"topology/compression-{value}", "A decoder that takes a reserved compression for none.", "topology", parent,
               "nnr_unit[2].topology_compression_format", value)  # fmt: skip
        m.edit(f"quantization-unit/compression-{value}", "A decoder that takes a reserved compression for none.", "quantization-unit",
               "core/quantization-unit/text", "nnr_unit[2].quantization_compression_format", value)  # fmt: skip
    deflate = "core/topology/deflate-zlib"
    content = zlib.compress(b"graph" * 9)
    faults = {"not-deflate": b"\xff\xff\xff\xff", "cut": content[:-6], "checksum": content[:-1] + bytes([content[-1] ^ 1]),
              "bytes-behind": content + b"\0\0", "byte-behind": content + b"x", "empty": b""}  # fmt: skip
    for name, octets in faults.items():
        for what, unit in (
            ("topology", d.topology(octets, 3, 1)),
            ("quantization-unit", d.quantization_unit(octets)),
        ):
            stream = raw_units(m.of(deflate), unit)
            m.add(f"{what}/deflate-{name}", "A decoder that hands on what did not inflate, or does not fill its unit.", what, stream,
                  "malformed truncated", "header", parent=deflate, mutation=f"deflate stream: {name}",
                  element="topology_data" if what == "topology" else "quantization_data")  # fmt: skip
    m.add("quantization-unit/no-zero", "A decoder that reads a string into the next unit.", "quantization-unit truncation",
          resized(m.of("core/quantization-unit/text"), 2, 1), "truncated", "header", parent="core/quantization-unit/text",
          mutation="zero byte left out", element="quantization_data")  # fmt: skip
    listed = "core/topology/reference-list"
    for name, index in (("end", 4), ("far", 4000000000)):
        stream = rebuilt(m.of(listed), 3, assigned("topology_elem_id_index", index))
        m.add(f"names/index-beyond-{name}", "A decoder that reads beyond the reference list.", "indexed-reference", stream, "malformed", "header",
              parent=listed, mutation=f"topology_elem_id_index={index}", element="topology_elem_id_index")  # fmt: skip
    m.add("names/index-without-list", "A decoder that invents names for indices.", "indexed-reference", without_unit(m.of(listed), 2),
          "malformed", "header", parent=listed, mutation="reference list left out", element="topology_elem_id_index")  # fmt: skip


def raw_units(stream: bytes, unit: d.UnitDraft) -> bytes:
    """Replace unit 2 of a stream."""
    from nnr_codec.syntax import build_tree

    tree = {"independently_decodable_flag": 1, "partial_data_counter_present_flag": 0} | unit.tree
    return with_unit(without_unit(stream, 2), 2, build_tree(tree, SyntaxState(general_profile_idc=0)))


def add_data_units(m: Damager) -> None:
    """Add faults of the headers of data units."""
    for value in (4, 31):
        m.edit(f"data-unit/payload-type-{value}", "A decoder that takes a reserved payload type for one it knows.", "float-payload", PLAIN0,
               "nnr_unit[2].nnr_compressed_data_unit_payload_type", value)  # fmt: skip
    formatted = "core/format/1"
    for value in (10, 11, 127):
        m.edit(f"data-unit/format-{value}", "A decoder that accepts a reserved data format.", "decompressed-format", formatted,
               "nnr_unit[2].nnr_decompressed_data_format", value)  # fmt: skip
    for value in (5, 8, 15):
        m.edit(f"data-unit/scan-order-{value}", "A decoder that computes a block size from a reserved scan order.", "block-scan", PLAIN0,
               "nnr_unit[2].scan_order", value)  # fmt: skip
    m.edit("data-unit/parent-type-3", "A decoder that takes a reserved parent type for none.", "parent-node",
           "extended/incremental/history-without-predecessor", "nnr_unit[2].parent_node_id_type", 3)  # fmt: skip
    m.edit(
        "alignment/data-unit-zero",
        "A decoder that ignores the alignment's pattern.",
        "alignment",
        PLAIN0,
        "nnr_unit[2].byte_alignment",
        0,
    )
    octets, _ = written_over(m.of(PLAIN0), "nnr_unit[2].tensor_dimensions_flag", 0)
    m.add("data-unit/dimensions-flag-0", "A decoder that reads dimensions whatever the flag says.", "external-dimensions", octets,
          "malformed", "header", parent=PLAIN0, mutation="tensor_dimensions_flag=0 before dimensions", element="byte_alignment")  # fmt: skip
    for value in (0, 1, 2):
        octets, _ = written_over(
            m.of("core/block/types-08-scan-0"), "nnr_unit[2].nnr_compressed_data_unit_payload_type", value
        )
        m.add(f"data-unit/several-names-in-payload-type-{value}", "A decoder that guesses how several tensors share a unit.", "multiple-elements",
              octets, "unsupported", "header", parent="core/block/types-08-scan-0", mutation=f"payload type {value}",
              element="topology_tensor_dimension_mapping")  # fmt: skip
    block = "core/block/types-08-scan-0"
    for name, types in (("more", 0), ("fewer", 10)):
        stream = rebuilt(m.of(block), 2, assigned("compressed_parameter_types", types))
        m.add(f"data-unit/{name}-names-than-tensors", "A decoder that takes the number of names for the number of tensors.", "block-payload",
              stream, "malformed", "header", parent=block, mutation=f"compressed_parameter_types={types}", element="compressed_parameter_types")  # fmt: skip
    stream = rebuilt(
        m.of(block),
        2,
        lambda tree: tree["topology_elements_ids_list"].__setitem__("topology_elem_id_list", ["w", "w"]),
    )
    m.add("names/twice-in-a-unit", "A decoder that silently loses one of two tensors of one name.", "block-payload", stream, "malformed",
          "header", parent=block, mutation="both tensors are called w", element="topology_elem_id_list")  # fmt: skip
    scalar = rebuilt(m.of("core/block/types-00-scan-0"), 2, no_dimensions)
    m.add("data-unit/block-without-dimension", "A decoder that reads the first of no dimensions.", "block-payload", scalar, "malformed", "header",
          parent="core/block/types-00-scan-0", mutation="count_tensor_dimensions=0", element="count_tensor_dimensions")  # fmt: skip
    factor = "core/low-rank/outside-a-block-g"
    for rows in (0, 5, 7):
        stream = rebuilt(m.of(factor), 2, assigned("g_number_of_rows", rows))
        m.add(f"data-unit/g-rows-{rows}", "A decoder that divides by zero or rounds the shape of a factor.", "low-rank", stream, "malformed",
              "header", parent=factor, mutation=f"g_number_of_rows={rows}", element="g_number_of_rows")  # fmt: skip
    stream = rebuilt(m.of(factor), 2, assigned("decomposition_rank", 0))
    m.add(
        "data-unit/rank-0",
        "A decoder that multiplies factors over nothing.",
        "low-rank",
        stream,
        "malformed",
        "header",
        parent=factor,
        mutation="decomposition_rank=0",
        element="decomposition_rank",
    )
    without = rebuilt(m.of(factor), 2, no_shape_and_no_rank)
    m.add("data-unit/rank-0-without-dimensions", "A decoder that judges the rank before it knows that the shape is missing.",
          "low-rank external-dimensions", without, "malformed", "header", parent=factor,
          mutation="decomposition_rank=0, tensor_dimensions_flag=0", element="tensor_dimensions", clauses=("3.4", "7.4"))  # fmt: skip
    stream = rebuilt(m.of(factor), 2, assigned("topology_elem_id", "w_K"))
    m.add("data-unit/factor-without-suffix", "A decoder that guesses which factor a unit holds.", "low-rank", stream, "malformed", "header",
          parent=factor, mutation="topology_elem_id=w_K", element="topology_elem_id", comment="Decision 0022.")  # fmt: skip
    stream = rebuilt(m.of(PLAIN0), 2, assigned("topology_elem_id", "\udcff"))
    m.add("string/name-not-utf8", "A decoder that hands on a name that is not UTF-8.", "float-payload", stream, "malformed", "header",
          parent=PLAIN0, mutation="topology_elem_id of a byte ff", element="topology_elem_id", clauses=("1.3",))  # fmt: skip
    stream = rebuilt(m.of("core/shape/7x1"), 2, no_shape)
    m.add("data-unit/no-dimensions", "A decoder that invents the shape that nobody gives.", "external-dimensions", stream, "malformed", "header",
          parent="core/shape/7x1", mutation="tensor_dimensions_flag=0", comment="Decision 0019.", element="tensor_dimensions")  # fmt: skip
    stream = rebuilt(m.of("core/shape/7x1"), 2, no_input_parameters)
    m.add("data-unit/no-input-parameters", "A decoder that invents the shape that nobody gives.", "external-dimensions", stream, "malformed",
          "header", parent="core/shape/7x1", mutation="input_parameters_present_flag=0", element="tensor_dimensions")  # fmt: skip
    raw = "core/raw/9"
    for name, extra in (
        ("byte-less", 1),
        ("float-less", 4),
        ("byte-more", b"\0"),
        ("float-more", b"\0\0\0\0"),
    ):
        kind = "malformed" if "more" in name else "malformed truncated"
        m.add(f"data-unit/raw-{name}", "A decoder that takes what bytes there are.", "raw-float", resized(m.of(raw), 2, extra), kind, "payload",
              parent=raw, mutation=name.replace("-", " a ", 1), element="nnr_compressed_data_unit_payload")  # fmt: skip
    m.add("data-unit/no-density", "A decoder that guesses a density.", "qp-density", without_unit(m.of(PLAIN0), 1), "malformed", "payload",
          parent=PLAIN0, mutation="model parameter set left out", element="mps_quantization_method_flags")  # fmt: skip
    methods = rebuilt(m.of(PLAIN0), 1, no_methods)
    m.add("data-unit/no-methods", "A decoder that guesses a density.", "qp-density", methods, "malformed", "payload", parent=PLAIN0,
          mutation="mps_quantization_method_flags=4", element="mps_quantization_method_flags")  # fmt: skip
    for parent in (PLAIN0, "extended/nodes/large", "core/scan/1-17x20-dq", "core/block/types-15-scan-1"):
        plain = m.of(parent)
        [payload] = [
            event for event in events_of(plain) if event.element == "nnr_compressed_data_unit_payload"
        ]
        begin = list(iter_unit_spans(plain))[2].byte_offset
        for size in range(begin + 4, payload.bit_offset // 8):
            stream = resized(plain, 2, len(plain) - size)
            name = "-".join(parent.split("/")[1:])
            m.add(f"size/{name}-{size - begin:02}-bytes", "A decoder that reads a header from behind the unit.", "truncation", stream,
                  "truncated", "header", parent=parent, mutation=f"unit of {size - begin} bytes", bits=(8 * begin, 8 * size))  # fmt: skip
    _codebooks(m)


def no_dimensions(tree: dict[str, Any]) -> None:
    """Make the tensor a scalar."""
    tree |= {"count_tensor_dimensions": 0, "tensor_dimensions": []}
    tree.pop("scan_order", None)


def no_shape(tree: dict[str, Any]) -> None:
    """Remove the dimensions."""
    tree["tensor_dimensions_flag"] = 0
    for name in ("count_tensor_dimensions", "tensor_dimensions", "scan_order"):
        tree.pop(name, None)


def no_shape_and_no_rank(tree: dict[str, Any]) -> None:
    """Remove the dimensions of a factor, and set its rank to 0."""
    no_shape(tree)
    tree["decomposition_rank"] = 0


def no_input_parameters(tree: dict[str, Any]) -> None:
    """Remove all input parameters."""
    no_shape(tree)
    tree["input_parameters_present_flag"] = 0
    for name in ("tensor_dimensions_flag", "cabac_unary_length_flag", "compressed_parameter_types"):
        tree.pop(name, None)


def no_methods(tree: dict[str, Any]) -> None:
    """Remove the uniform quantisation methods."""
    tree["mps_quantization_method_flags"] = 4
    tree.pop("mps_qp_density")
    tree.pop("mps_quantization_parameter")


def _codebooks(m: Damager) -> None:
    parent = "core/codebook/seven-unary-10"
    base = m.of(parent)

    def with_book(**changes: Any) -> bytes:
        return rebuilt(base, 2, lambda tree: tree["codebook"].update(changes))

    faults: dict[str, tuple[dict[str, Any], str]] = {
        "zero-below": ({"codebook_center_offset": -4, "codebook_delta_left": [], "codebook_delta_right": [0] * 7}, "codebook_center_offset"),
        "zero-above": ({"codebook_center_offset": 4, "codebook_delta_left": [0] * 7, "codebook_delta_right": []}, "codebook_center_offset"),
        "empty": ({"codebook_size": 0, "codebook_center_offset": 0, "codebook_delta_left": [], "codebook_delta_right": []}, "codebook_center_offset"),
        "entry-beyond-int32": ({"codebook_zero_value": (1 << 31) - 2}, "codebook_zero_value"),
        "entry-below-int32": ({"codebook_zero_value": -(1 << 31) + 30}, "codebook_zero_value"),
        "delta-beyond-int32": ({"codebook_delta_right": [(1 << 32) - 1, 0, 0]}, "codebook_zero_value"),
    }  # fmt: skip
    for name, (changes, element) in faults.items():
        m.add(f"codebook/{name}", "A decoder that indexes outside its codebook, or wraps its entries.", "codebook", with_book(**changes),
              "malformed", "header", parent=parent, mutation=", ".join(f"{k}={v}" for k, v in changes.items()), element=element)  # fmt: skip
