# SPDX-License-Identifier: Apache-2.0
"""Sequential decoder of units that may update earlier units."""

from __future__ import annotations

from collections.abc import Sequence

from nnr_codec.codec.decode.unit_decoder import UnitContext, UnitTensor, decode_unit
from nnr_codec.codec.stream.stream_reader import DataUnitInStream, StreamReader
from nnr_codec.codec.stream.update_tree import Predecessor, UpdateTree
from nnr_codec.errors import BitstreamError, MalformedBitstream


def decode_in_turn(
    unit: DataUnitInStream, reader: StreamReader, updates: UpdateTree
) -> tuple[list[UnitTensor], Sequence[Predecessor]]:
    """Decode a unit that may update an earlier one, and remember it for later updates.

    Parameters
    ----------
    unit : DataUnitInStream
    reader : StreamReader
        The reader that yielded the unit last.
    updates : UpdateTree
        The units decoded so far.

    Returns
    -------
    tensors : list of UnitTensor
        In the order of their data.
    predecessors : sequence of Predecessor
        The tensors of the updated unit; empty if the unit updates none.

    Raises
    ------
    BitstreamError
        With path and bit offset.

    Clause: format 5.6
    """
    reader.check_time(unit)
    plan = unit.plan
    try:
        before = updates.predecessors(unit.header) or ()
    except BitstreamError as error:
        reader.locate(error)
        raise
    if before and [p.shape for p in before] != [t.shape for t in plan]:
        fault = MalformedBitstream(
            "the unit updates one of another shape",
            path=f"{unit.path}.tensor_dimensions",
            bit_offset=unit.payload_bit_offset,
            element="tensor_dimensions",
            clause="format 5.6",
        )
        unit.locate(fault)
        raise fault
    context = UnitContext(unit.general_profile_idc, unit.quantization, before)
    try:
        tensors = decode_unit(
            unit.header, plan, unit.payload, context, bit_offset=unit.payload_bit_offset, path=unit.path
        )
    except BitstreamError as error:
        unit.locate(error)
        raise
    coded = [t.coded.levels for t in tensors if t.coded is not None]
    if reader.parent_signalling and coded:
        updates.remember(unit.header, unit.payload, coded, [t.shape for t in plan])
    return tensors, before
