# SPDX-License-Identifier: Apache-2.0
"""The stream inspector behind ``nnr dump``, ``nnr diff``, ``nnr explain`` and ``nnr validate``.

Rooms, each importing only those below it:

- `views`: text, tables, JSON, the HTML page, and the comparison of two streams;
- `rebuild`: dumps back to streams, with edits;
- `read`: a stream to units, elements, faults, levels and bit counts;
- `explain`: meanings and declarations of syntax elements.
"""

from nnr_codec.inspect.read import (
    AUTO_DECODE_BYTES,
    Finding,
    Severity,
    StrayBytes,
    Summary,
    Survey,
    UnitReport,
    summarize,
    validate,
)
from nnr_codec.inspect.rebuild import UnitBuilder, build_stream, records_of
from nnr_codec.inspect.views import Dump, Paint, compare, unit_record

__all__ = [
    "AUTO_DECODE_BYTES",
    "Dump",
    "Finding",
    "Paint",
    "Severity",
    "StrayBytes",
    "Summary",
    "Survey",
    "UnitBuilder",
    "UnitReport",
    "build_stream",
    "compare",
    "records_of",
    "summarize",
    "unit_record",
    "validate",
]
