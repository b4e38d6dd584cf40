# SPDX-License-Identifier: Apache-2.0
"""Reference decoder of the specification: standard library only, slow, in the order of its clauses.

- section 1: descriptors
- section 2: units, parameter_sets
- section 3: data_unit, unit_tensors
- section 4: reconstruction
- section 5: arithmetic, contexts, tensor_data, dependent_quantisation, scan, incremental
- section 6: tables
- section 7: errors, limits
- all sections: stream
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .arithmetic import BinTrace
from .descriptors import Field
from .errors import Limit, Malformed, StreamError, Truncated, Unsupported
from .limits import Limits
from .reconstruction import factors_product, scaled_rows
from .stream import DecodedStream, Session, Tensor


def decode(
    streams: Iterable[bytes],
    *,
    limits: Limits | None = None,
    dimensions: Mapping[str, tuple[int, ...]] | None = None,
    block_rows_alone: bool = False,
    observe: Callable[[int, BinTrace], None] | None = None,
    log: list[Field] | None = None,
) -> list[dict[str, Tensor]]:
    """Decode a sequence of streams.

    Parameters
    ----------
    streams : iterable of bytes
    limits, dimensions, block_rows_alone, observe, log
        See ``Session``.

    Returns
    -------
    list of dict of str to Tensor
        For each stream, its tensors by name, in payload order.

    Raises
    ------
    StreamError
        As ``Truncated``, ``Malformed``, ``Unsupported`` or ``Limit``.

    Clause: 2.1, 5.6
    """
    session = Session(limits, dimensions, block_rows_alone, observe, log)
    return [session.decode(stream).tensors for stream in streams]


__all__ = [
    "BinTrace",
    "DecodedStream",
    "Field",
    "Limit",
    "Limits",
    "Malformed",
    "Session",
    "StreamError",
    "Tensor",
    "Truncated",
    "Unsupported",
    "decode",
    "factors_product",
    "scaled_rows",
]
