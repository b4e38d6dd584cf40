# SPDX-License-Identifier: Apache-2.0
"""Units to a binary file, in an order that other decoders read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, BinaryIO

from nnr_codec.codec.stream.carrier import CarriedKind, carrier_units
from nnr_codec.codec.stream.checksum import checksum_unit
from nnr_codec.errors import NotEncodable
from nnr_codec.model import AnyUnit, DataUnit, Limits, PayloadType, TopologyUnit
from nnr_codec.syntax import SyntaxState, build_unit

_DEFAULTS = Limits()


class StreamWriter:
    """Writes units, and holds the only raw float unit back for the end.

    NNCodec 2.1.3 reads one raw float unit, as the last unit of a stream. A second raw unit releases the first one: then no
    order helps.

    Parameters
    ----------
    file : binary file
    digest : hash object, optional
        Takes all bytes; its digest closes the stream.

    Attributes
    ----------
    n_bytes : int
        Bytes written so far.
    """

    def __init__(self, file: BinaryIO, digest: Any = None) -> None:
        self._file = file
        self._digest = digest
        self._state = SyntaxState()
        self._held: tuple[str, bytes] | None = None
        self._follower: str | None = None  # the tensor written after the held one came
        self._holds_raw_units = True
        self._carried_bytes = 0
        self.n_bytes = 0

    def write_unit(self, unit: AnyUnit) -> None:
        """Write a unit that holds no tensor."""
        self._write(build_unit(unit, self._state))
        self._state = self._state.after(unit)

    def write_tensor(self, name: str, unit: DataUnit) -> None:
        """Write the data unit of a tensor (or the first of several), or hold it back.

        Raises
        ------
        NotEncodable
            The unit cannot be built; ``path`` names the tensor.
        """
        try:
            octets = build_unit(unit, self._state)
        except NotEncodable as error:
            error.path = name if error.path is None else f"{name}: {error.path}"
            raise
        self._state = self._state.after(unit)
        if unit.header.payload_type == PayloadType.NNR_PT_RAW_FLOAT and self._holds_raw_units:
            if self._held is None:
                self._held = name, octets
                return
            self._release()
            self._holds_raw_units = False
        self._precede(name)
        self._write(octets)

    def write_carried(self, name: str, units: Iterable[TopologyUnit]) -> None:
        """Write the carrier units of a tensor."""
        self._precede(name)
        for unit in units:
            self._carried_bytes += len(unit.topology_data)
            self.write_unit(unit)

    def close(self) -> None:
        """Write what is held back, and what the end of a stream needs."""
        self._pad()
        self._release()
        if self._digest is not None:
            self._write(checksum_unit(self._digest.digest()))

    def _precede(self, name: str) -> None:
        if self._held is not None and self._follower is None:
            self._follower = name

    def _release(self) -> None:
        if self._held is None:
            return
        (name, octets), self._held = self._held, None
        if self._follower is not None:
            for unit in carrier_units(CarriedKind.POSITION, name, self._follower.encode()):
                self.write_unit(unit)
        self._write(octets)

    def _pad(self) -> None:
        """Lengthen a stream that a decoder would take for a bomb: it decodes so many bytes for each byte of the stream."""
        ratio, floor = _DEFAULTS.max_expansion_ratio or 1, _DEFAULTS.expansion_floor_bytes
        decoded_bytes = 4 * self._state.total_elements + self._carried_bytes
        n_bytes = self.n_bytes + (0 if self._held is None else len(self._held[1]))
        if decoded_bytes > floor and decoded_bytes > ratio * n_bytes:
            # Noise, which does not deflate.
            padding = hashlib.shake_128(b"nnr_codec padding").digest(decoded_bytes // ratio + 1 - n_bytes)
            for unit in carrier_units(CarriedKind.PADDING, "", padding, as_text=True):
                self.write_unit(unit)

    def _write(self, octets: bytes) -> None:
        self._file.write(octets)
        self.n_bytes += len(octets)
        if self._digest is not None:
            self._digest.update(octets)
