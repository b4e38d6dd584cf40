# SPDX-License-Identifier: Apache-2.0
"""Entropy coding and quantisation of whole tensors."""

from collections.abc import Sequence
import enum
from typing import Annotated

import numpy
from numpy.typing import NDArray


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
    def rows(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def dependent(self) -> bool: ...

class Tensor:
    def __init__(self, coding: TensorCoding, base: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, history: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None: ...

class Choices:
    def __init__(self, *, qp_value: int = 0, history_enabled: bool = False, row_skip: bool = True, search: bool = True) -> None: ...

def decode_payload(payload: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], tensors: Sequence[Tensor], levels: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]], plainly: bool = False) -> tuple: ...

def encode_payload(tensors: Sequence[Tensor], levels: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)]], choices: Sequence[Choices]) -> tuple: ...

def quantize_uniform(weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], step: float, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]) -> int: ...

def quantize_dependent(weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], step: float, coding: TensorCoding, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]) -> int: ...

def search_initialisations(tensor: Tensor, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], choices: Choices) -> tuple: ...

def estimate_rate(tensor: Tensor, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], choices: Choices) -> tuple: ...

def cost_tables(coding: TensorCoding, values: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], initialisations: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, largest: int) -> tuple: ...

def magnitude_costs(values: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], candidates: Sequence[int]) -> list[float]: ...

def quantize_rdo(weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], step: float, tensor: Tensor, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], *, lambda_: float, importance: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, initialisations: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, history_enabled: bool = False, row_skip: bool = False, adaptive: bool = True) -> int: ...

def probe_payload(payload: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], codings: Sequence[TensorCoding], bases: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None], histories: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None], levels: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')]], watch_bit: int | None = None) -> tuple: ...

def quantize_feedback(weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], step: float, coding: TensorCoding, levels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], *, lambda_: float, coefficients: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], column_weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], row_weights: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, initialisations: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, survivors: int = 1, interval: int = 32) -> int: ...
