# SPDX-License-Identifier: Apache-2.0
"""Entropy coding and quantisation of whole tensors."""

from collections.abc import Sequence
import enum

import numpy
import numpy.typing


class Outcome(enum.Enum):
    OK = 0

    TRUNCATED = 1

    LEVEL_OVERFLOW = 2

    OFFSET_ABOVE_RANGE = 3

    NO_TERMINATION = 4

    BAD_STOP_BIT = 5

    TRAILING_BYTES = 6

    PARITY_MISMATCH = 7

    NOT_IN_CODEBOOK = 8

    LEVEL_IN_SKIPPED_ROW = 9

class TensorCoding:
    def __init__(self, *, rows: int, width: int, scan_order: int = 0, unary_length: int = 10, dependent: bool = False, profile1: bool = True, parent_present: bool = False, qp_bits: int = 0, codebook_size: int = 0, codebook_zero: int = 0) -> None: ...

    @property
    def size(self) -> int: ...

    @property
    def rows(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def dependent(self) -> bool: ...

class Tensor:
    def __init__(self, coding: TensorCoding, base: numpy.typing.NDArray[numpy.int32] | None = None, history: bytes | memoryview | numpy.typing.NDArray[numpy.uint8] | None = None) -> None: ...

class Quantization:
    def __init__(self, qp_density: int, quantization_parameter: int) -> None: ...

class EncodeOptions:
    def __init__(self, *, qp_value: int = 0, history_enabled: bool = False, row_skip: bool = True, search: bool = True) -> None: ...

def decode_payload(payload: bytes | memoryview | numpy.typing.NDArray[numpy.uint8], tensors: Sequence[Tensor], levels: Sequence[numpy.typing.NDArray[numpy.int32]], reference: bool = False) -> tuple: ...

def step_size(qp: int, qp_density: int) -> float: ...

def dequantize(levels: numpy.typing.NDArray[numpy.int32], step: float, values: numpy.typing.NDArray[numpy.float32]) -> None: ...

def encode_payload(tensors: Sequence[Tensor], levels: Sequence[numpy.typing.NDArray[numpy.int32]], options: Sequence[EncodeOptions]) -> tuple: ...

def quantize_uniform(weights: numpy.typing.NDArray[numpy.float32], step: float, levels: numpy.typing.NDArray[numpy.int32]) -> int: ...

def quantize_dependent(weights: numpy.typing.NDArray[numpy.float32], step: float, coding: TensorCoding, levels: numpy.typing.NDArray[numpy.int32]) -> int: ...

def search_initialisations(tensor: Tensor, levels: numpy.typing.NDArray[numpy.int32], options: EncodeOptions) -> tuple: ...

def estimate_rate(tensor: Tensor, levels: numpy.typing.NDArray[numpy.int32], options: EncodeOptions) -> tuple: ...

def cost_tables(coding: TensorCoding, values: numpy.typing.NDArray[numpy.int32], initialisations: bytes | memoryview | numpy.typing.NDArray[numpy.uint8] | None, largest: int) -> tuple: ...

def magnitude_costs(values: numpy.typing.NDArray[numpy.int32], candidates: Sequence[int]) -> list[float]: ...

def quantize_rdo(weights: numpy.typing.NDArray[numpy.float32], step: float, tensor: Tensor, levels: numpy.typing.NDArray[numpy.int32], *, lambda_: float, importance: numpy.typing.NDArray[numpy.float32] | None = None, initialisations: bytes | memoryview | numpy.typing.NDArray[numpy.uint8] | None = None, history_enabled: bool = False, row_skip: bool = False, adaptive: bool = True, beam: float = 4.0) -> int: ...

def probe_payload(payload: bytes | memoryview | numpy.typing.NDArray[numpy.uint8], codings: Sequence[TensorCoding], bases: Sequence[numpy.typing.NDArray[numpy.int32] | None], histories: Sequence[bytes | memoryview | numpy.typing.NDArray[numpy.uint8] | None], levels: Sequence[numpy.typing.NDArray[numpy.int32]], watch_bit: int | None = None) -> tuple: ...

class UnitSyntax:
    def __init__(self, general_profile_idc: int, mps_topology_indexed_reference_flag: bool, mps_parent_signalling_enabled_flag: bool, reference_list: Sequence[str], limits: object) -> None: ...

    def parse(self, view: memoryview, begin: int, end: int) -> dict[str, object] | tuple[str, int, str]: ...

    def build(self, tree: dict[str, object], sized: bool = False) -> bytes | None: ...

class Workers:
    def __init__(self, threads: int) -> None: ...

class DecodeTask:
    def __init__(self, entries: Sequence[tuple[bytes | memoryview | numpy.typing.NDArray[numpy.uint8], Sequence[TensorCoding], Sequence[numpy.typing.NDArray[numpy.int32]], Quantization | None, Sequence[tuple[int, int, int]]]], workers: Workers | None = None) -> None: ...

    def cancel(self) -> None: ...

    @property
    def block_row_counts(self) -> tuple: ...

    def result(self) -> list: ...

class EncodeTask:
    def __init__(self, weights: numpy.typing.NDArray[numpy.float32], step: float, coding: TensorCoding, options: EncodeOptions, levels: numpy.typing.NDArray[numpy.int32] | None = None, workers: Workers | None = None) -> None: ...

    def cancel(self) -> None: ...

    def result(self) -> tuple: ...

def quantize_feedback(weights: numpy.typing.NDArray[numpy.float32], step: float, coding: TensorCoding, levels: numpy.typing.NDArray[numpy.int32], *, lambda_: float, coefficients: numpy.typing.NDArray[numpy.float32], column_weights: numpy.typing.NDArray[numpy.float32], row_weights: numpy.typing.NDArray[numpy.float32] | None = None, initialisations: bytes | memoryview | numpy.typing.NDArray[numpy.uint8] | None = None, survivors: int = 1, interval: int = 32, inputs_first: bool = False, lines: int = 1) -> int: ...
