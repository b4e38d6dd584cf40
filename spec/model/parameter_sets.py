# SPDX-License-Identifier: Apache-2.0
"""2.3, 2.5 to 2.9 Start unit, parameter sets, topology and quantisation units."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from .descriptors import BitReader
from .errors import Truncated, Unsupported

NNR_QSU, NNR_QCB = 1, 2
TOPOLOGY_PRUN, TOPOLOGY_REFLIST = 5, 6
NNR_DFL = 1  # of compression formats; 0 is raw
LARGEST_TOPOLOGY_DATA = 1 << 28
# 2.7: one bit for each of up to 255 classes.
LARGEST_CLASS_BITMASK = (1 << 256) - 1


@dataclass(frozen=True)
class Quantisation:
    """Density and parameter of a parameter set."""

    qp_density: int
    quantization_parameter: int


@dataclass(frozen=True)
class ModelParameterSet:
    """Fields of the model parameter set that the decoding process uses."""

    topology_indexed_reference: bool = False
    parent_signalling: bool = False
    quantisation: Quantisation | None = None


@dataclass(frozen=True)
class Topology:
    """Topology unit; only a reference list is interpreted."""

    storage_format: int
    compression_format: int
    topology_data: bytes
    topology_elem_ids: tuple[str, ...] | None


def start_unit_header(reader: BitReader) -> int:
    """Read the header of a start unit (2.3); return the profile."""
    start = reader.position
    profile = reader.u(8, "general_profile_idc")
    if profile > 1:
        raise Unsupported(
            f"general_profile_idc {profile}",
            path=f"{reader.path}.general_profile_idc",
            bit_offset=reader.absolute(start),
            clause="2.3",
        )
    return profile


def model_parameter_set(reader: BitReader, profile: int) -> ModelParameterSet:
    """Read the payload of a model parameter set (2.5)."""
    reader.flag("topology_carriage_flag")
    sparsification = reader.flag("mps_sparsification_flag")
    pruning = reader.flag("mps_pruning_flag")
    unification = reader.flag("mps_unification_flag")
    decomposition = reader.flag("mps_decomposition_performance_map_flag")
    methods = reader.u(3, "mps_quantization_method_flags")
    indexed = reader.flag("mps_topology_indexed_reference_flag")
    parent_signalling = validation = False
    if profile == 1:
        base_model = reader.flag("base_model_id_present_flag")
        validation = reader.flag("validation_set_performance_present_flag")
        metric_type = reader.flag("metric_type_performance_map_valid_flag")
        parent_signalling = reader.flag("mps_parent_signalling_enabled_flag")
        if parent_signalling:
            reader.flag("nnr_pre_flag")
        else:
            reader.reserved_zero(1, "2.5")
        reader.reserved_zero(2, "2.5")
        if base_model:
            reader.st("base_model_id")
        if validation or metric_type:
            reader.st("performance_metric_type")
    else:
        reader.reserved_zero(7, "2.5")
    quantisation = _quantisation(reader, "mps", methods)
    if sparsification:
        sparsification_performance_map(reader)
    if pruning:
        pruning_performance_map(reader)
    if unification:
        unification_performance_map(reader)
    if decomposition:
        decomposition_performance_map(reader)
    if validation:
        reader.flt32("validation_set_performance")
    reader.byte_alignment()
    reader.expect_end("2.5")
    return ModelParameterSet(indexed, parent_signalling, quantisation)


def layer_parameter_set_header(reader: BitReader) -> None:
    """Read the header of a layer parameter set (2.6)."""
    reader.flag("lps_self_contained_flag")
    reader.reserved_zero(7, "2.6")


def layer_parameter_set(reader: BitReader) -> Quantisation | None:
    """Read the payload of a layer parameter set (2.6)."""
    reader.reserved_zero(1, "2.6")
    sparsification = reader.flag("lps_sparsification_flag")
    pruning = reader.flag("lps_pruning_flag")
    unification = reader.flag("lps_unification_flag")
    methods = reader.u(3, "lps_quantization_method_flags")
    reader.reserved_zero(1, "2.6")
    quantisation = _quantisation(reader, "lps", methods)
    if sparsification:
        sparsification_performance_map(reader)
    if pruning:
        pruning_performance_map(reader)
    if unification:
        unification_performance_map(reader)
    reader.byte_alignment()
    reader.expect_end("2.6")
    return quantisation


def _quantisation(reader: BitReader, prefix: str, methods: int) -> Quantisation | None:
    if not methods & (NNR_QSU | NNR_QCB):
        return None
    density = reader.u(3, f"{prefix}_qp_density")
    return Quantisation(density, reader.i(13, f"{prefix}_quantization_parameter"))


# 2.7 Performance maps: parsed and dropped. A list has one entry less than its count (decision 0001).


def _class_accuracies(reader: BitReader, prefix: str, i: int) -> None:
    reader.flt32(f"{prefix}_nn_accuracy[{i}]")
    count = reader.u(8, f"{prefix}_count_classes[{i}]")
    reader.ue(7, f"{prefix}_class_bitmask[{i}]", LARGEST_CLASS_BITMASK)
    for j in range(count):
        reader.flt32(f"{prefix}_nn_class_accuracy[{i}][{j}]")


def sparsification_performance_map(reader: BitReader) -> None:
    """Read a sparsification map (2.7)."""
    for i in range(reader.u(8, "spm_count_thresholds") - 1):
        reader.flt32(f"sparsification_threshold[{i}]")
        reader.flt32(f"non_zero_ratio[{i}]")
        _class_accuracies(reader, "spm", i)


def pruning_performance_map(reader: BitReader) -> None:
    """Read a pruning map (2.7)."""
    for i in range(reader.u(8, "ppm_count_pruning_ratios") - 1):
        reader.flt32(f"pruning_ratio[{i}]")
        _class_accuracies(reader, "ppm", i)


def unification_performance_map(reader: BitReader) -> None:
    """Read a unification map (2.7)."""
    for i in range(reader.u(8, "upm_count_thresholds") - 1):
        for j in range(reader.ue(1, f"count_reshaped_tensor_dimension[{i}]") - 1):
            reader.ue(7, f"reshaped_tensor_dimensions[{i}][{j}]")
        reader.byte_alignment()
        for j in range(reader.u(8, f"count_super_block_dimension[{i}]") - 1):
            reader.u(8, f"super_block_dimensions[{i}][{j}]")
        for j in range(reader.u(8, f"count_block_dimension[{i}]") - 1):
            reader.u(8, f"block_dimensions[{i}][{j}]")
        reader.flt32(f"unification_threshold[{i}]")
        _class_accuracies(reader, "upm", i)


def decomposition_performance_map(reader: BitReader) -> None:
    """Read a decomposition map (2.7)."""
    for i in range(reader.u(8, "dpm_count_thresholds") - 1):
        reader.flt32(f"mse_threshold[{i}]")
        reader.flt32(f"dpm_nn_accuracy[{i}]")
        reader.flt32(f"nn_reduction_ratio[{i}]")
        for j in range(reader.u(16, f"dpm_count_classes[{i}]")):
            reader.flt32(f"dpm_nn_class_accuracy[{i}][{j}]")


def topology_unit_header(reader: BitReader) -> tuple[int, int]:
    """Read the header of a topology unit (2.8); return both formats."""
    storage = _enumerated(reader, "topology_storage_format", TOPOLOGY_REFLIST, "2.8")
    return storage, _enumerated(reader, "topology_compression_format", NNR_DFL, "2.8")


def _enumerated(reader: BitReader, element: str, largest: int, clause: str) -> int:
    """Read a u(8) whose values above ``largest`` are reserved."""
    start = reader.position
    value = reader.u(8, element)
    if value > largest:
        raise reader.malformed(f"{element} {value} is reserved", element, start, clause)
    return value


def topology_unit(reader: BitReader, formats: tuple[int, int], largest_count: int) -> Topology:
    """Read the payload of a topology unit (2.8)."""
    if formats[0] == TOPOLOGY_REFLIST:
        names = topology_elements_ids_list(reader, None, largest_count)
        reader.expect_end("2.8")
        return Topology(*formats, b"", tuple(names))
    if formats[0] == TOPOLOGY_PRUN:
        return Topology(*formats, reader.rest("nnr_pruning_topology_container"), None)
    start = reader.position
    payload = reader.rest("topology_data")
    if formats[1] == NNR_DFL:
        payload = inflated(reader, payload, start, "topology_data")
    elif payload.endswith(b"\0"):
        payload = payload[:-1]  # reads both st(v) and bs(v), decision 0002
    return Topology(*formats, payload, None)


def inflated(reader: BitReader, payload: bytes, start: int, element: str) -> bytes:
    """Inflate a deflate stream, bare or in zlib's wrapping; one zero byte may follow it."""
    wrapped = len(payload) > 1 and payload[0] & 15 == 8 and int.from_bytes(payload[:2], "big") % 31 == 0
    inflater = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    try:
        content = inflater.decompress(payload, LARGEST_TOPOLOGY_DATA + 1)
    except zlib.error:
        raise reader.malformed("not a deflate stream", element, start, "2.8") from None
    if len(content) > LARGEST_TOPOLOGY_DATA:
        raise reader.limit("a description larger than 256 MiB", element, start)
    if not inflater.eof:
        raise Truncated(
            "the deflate stream has no end",
            path=f"{reader.path}.{element}",
            bit_offset=reader.absolute(start),
            clause="2.8",
        )
    if inflater.unused_data not in (b"", b"\0"):
        raise reader.malformed("bytes follow the deflate stream", element, start, "2.8")
    return content


def quantisation_unit_header(reader: BitReader) -> tuple[int, int]:
    """Read the header of a quantisation unit (2.9); return both formats."""
    storage = reader.u(8, "quantization_storage_format")
    return storage, _enumerated(reader, "quantization_compression_format", NNR_DFL, "2.9")


def quantisation_unit(reader: BitReader, formats: tuple[int, int]) -> bytes:
    """Read the payload of a quantisation unit (2.9)."""
    start = reader.position
    if formats[1] == NNR_DFL:
        return inflated(reader, reader.rest("quantization_data"), start, "quantization_data")
    text = reader.st("quantization_data")
    reader.expect_end("2.9")
    return text.encode()


def topology_elements_ids_list(
    reader: BitReader, refer: Callable[[str], str] | None, largest_count: int
) -> list[str]:
    """Read a list of names.

    Parameters
    ----------
    refer : callable or None
        Reads the index of an element and returns its name; None when names are sent as strings.

    Clause: 3.2.1
    """
    start = reader.position
    count = reader.ue(7, "count_topology_elements_minus2") + 2
    if count > largest_count:
        raise reader.limit(f"{count} topology elements", "count_topology_elements_minus2", start)
    if refer is not None:
        names = [refer(f"topology_elem_id_index_list[{i}]") for i in range(count)]
        reader.byte_alignment()
        return names
    reader.byte_alignment()
    return [reader.st(f"topology_elem_id_list[{i}]") for i in range(count)]
