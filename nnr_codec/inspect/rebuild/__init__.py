# SPDX-License-Identifier: Apache-2.0
"""Dumps back to streams: the same bytes, or with single elements edited, also to invalid values."""

from nnr_codec.inspect.rebuild.build import build_stream, records_of
from nnr_codec.inspect.rebuild.json_values import from_jsonable, jsonable
from nnr_codec.inspect.rebuild.unit_builder import UnitBuilder

__all__ = ["UnitBuilder", "build_stream", "from_jsonable", "jsonable", "records_of"]
