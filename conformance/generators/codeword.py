# SPDX-License-Identifier: Apache-2.0
"""Codewords written by the model's decoder: a script chooses every bin that the decoder requests.

The model of ``spec/`` decodes a tensor as usual, on an arithmetic engine that encodes the scripted bin instead of
reading one. The generators can therefore write everything that the model can decode, including choices that no
encoder makes, without a second implementation of the tensor-data grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from conformance.generators.script import TensorScript
from spec.model import stream as model_stream
from spec.model.arithmetic import ArithmeticDecoder, Context
from spec.model.errors import Malformed
from spec.model.scan import count_block_rows
from spec.model.tables import RANGE_LPS
from spec.model.tensor_data import TensorCoding, TensorData


@dataclass
class BlockRowStart:
    """Start of a block row: ``position`` as in clause 5.1.1; ``offset`` is computed from ``low`` at the end."""

    tensor: int
    position: int
    low: int
    state: int
    offset: int = 0


@dataclass
class Codeword:
    """Finished codeword with the starts of its block rows, for entry points."""

    octets: bytes
    starts: list[BlockRowStart] = field(default_factory=list)


class CodewordWriter:
    """Encoder with the interface of the model's ``ArithmeticDecoder``.

    ``low`` is the value of the codeword so far, an unbounded integer: slow, but free of carry propagation.

    Parameters
    ----------
    scripts : list of TensorScript
        Scripts of the tensors, in the order of their data.
    """

    def __init__(self, scripts: list[TensorScript]) -> None:
        self.scripts = scripts
        self.script = scripts[0]
        self.element = ""
        self.path = ""
        self.range = 510
        self.low = 0
        self.n_shifts = 0
        self.starts: list[BlockRowStart] = []
        self.octets = b""

    # Attributes that the model reads.

    @property
    def bit_position(self) -> int:
        return self.n_shifts + 9

    @property
    def offset(self) -> int:
        return 0

    def absolute(self, position: int) -> int:
        return position

    def malformed(self, message: str, clause: str) -> Malformed:
        return Malformed(message, path=self.path, bit_offset=self.bit_position, clause=clause)

    def regular(self, context: Context) -> int:
        bin_value = self.script.bin(self.element, context.index)
        both = context.s1 + 16 * context.s0
        less_probable = RANGE_LPS[(self.range >> 5) & 7][abs(both >> 7)]
        self.range -= less_probable
        if bin_value != (1 if both >= 0 else 0):
            self.low += self.range
            self.range = less_probable
        self._renormalise()
        context.update(bin_value)
        return bin_value

    def bypass(self) -> int:
        return self._put_bypass(self.script.bin(self.element, None))

    def _put_bypass(self, bin_value: int) -> int:
        self.low = 2 * self.low + (self.range if bin_value else 0)
        self.n_shifts += 1
        return bin_value

    def uae(self, count: int) -> int:
        value = self.script.bins(self.element, count) & ((1 << count) - 1)
        for shift in range(count - 1, -1, -1):
            self._put_bypass(value >> shift & 1)
        return value

    def iae(self, count: int) -> int:
        value = self.uae(count)
        return value - (1 << count) if value >> (count - 1) else value

    def _renormalise(self) -> None:
        while self.range < 256:
            self.range *= 2
            self.low *= 2
            self.n_shifts += 1

    def narrow(self) -> None:
        self.range = 256

    def finish(self) -> None:
        """Write the terminating bin; the stop bit makes the value of the codeword odd."""
        self.range -= 2
        self.low += self.range
        value, n_bits = self.low | 1, self.n_shifts + 9
        for start in self.starts:
            start.offset = (value >> (n_bits - 9 - start.position)) - start.low
        padding = -n_bits % 8
        self.octets = (value << padding).to_bytes((n_bits + padding) // 8, "big")


class _Drafting:
    """Replacements of the model's engine and tensor data during the writing of a draft."""

    def __init__(self, scripts_of_units: list[list[TensorScript]]) -> None:
        self.scripts_of_units = scripts_of_units
        self.written: list[CodewordWriter] = []
        self.n_tensors = 0

    def engine(self, _source: bytes, path: str, _absolute: object, _observe: object = None) -> CodewordWriter:
        writer = CodewordWriter(self.scripts_of_units[len(self.written)])
        writer.path = path
        self.written.append(writer)
        self.n_tensors = 0
        # qp_value precedes the tensor data and belongs to the first tensor.
        return writer

    def tensor_data(self, engine: CodewordWriter, coding: TensorCoding) -> TensorData:
        drafting = self

        class Scripted(TensorData):
            def decode(self) -> list[int]:
                engine.script.begin(self)
                levels = super().decode()
                drafting.n_tensors += 1
                if drafting.n_tensors < len(engine.scripts):
                    engine.script = engine.scripts[drafting.n_tensors]
                return levels

            def _note_start(self) -> None:
                if count_block_rows(self.coding.rows, self.scan_order) > 1:
                    engine.starts.append(
                        BlockRowStart(drafting.n_tensors, engine.n_shifts, engine.low, self.state)
                    )

            def _block_row(self, block_row: int) -> None:
                self._note_start()
                super()._block_row(block_row)

            def _initialisation_parameter(self, index: int) -> None:
                engine.script.context = index
                super()._initialisation_parameter(index)

            def _level(self, position: int) -> int:
                engine.script.at(position)
                return super()._level(position)

        return Scripted(cast("ArithmeticDecoder", engine), coding)


def write_codewords(decode: Callable[[], object], scripts: list[list[TensorScript]]) -> list[Codeword]:
    """Run ``decode``, which decodes a draft with the model, and return the scripted codewords.

    Parameters
    ----------
    scripts : list of list of TensorScript
        Scripts per coded unit and tensor.
    """
    drafting = _Drafting(scripts)
    names = vars(model_stream)
    kept = names["ArithmeticDecoder"], names["TensorData"]
    names["ArithmeticDecoder"], names["TensorData"] = drafting.engine, drafting.tensor_data
    try:
        decode()
    finally:
        names["ArithmeticDecoder"], names["TensorData"] = kept
    return [Codeword(writer.octets, writer.starts) for writer in drafting.written]
