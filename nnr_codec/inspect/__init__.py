# SPDX-License-Identifier: Apache-2.0
"""What ``nnr dump``, ``nnr diff`` and ``nnr explain`` show: views over the one trace that parsing makes."""

from nnr_codec.inspect.document import unit_record
from nnr_codec.inspect.dump import Dump
from nnr_codec.inspect.examine import StrayBytes, UnitReport
from nnr_codec.inspect.overview import Overview, overview_of
from nnr_codec.inspect.paint import Paint
from nnr_codec.inspect.rebuild import build_stream, records_of
from nnr_codec.inspect.survey import EASY_BYTES, Survey
from nnr_codec.inspect.unit_builder import UnitBuilder

__all__ = [
    "EASY_BYTES",
    "Dump",
    "Overview",
    "Paint",
    "StrayBytes",
    "Survey",
    "UnitBuilder",
    "UnitReport",
    "build_stream",
    "overview_of",
    "records_of",
    "unit_record",
]
