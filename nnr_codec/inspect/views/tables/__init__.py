# SPDX-License-Identifier: Apache-2.0
"""Table views: units, tensors, trace, ledger and context models; each in text, CSV, Markdown, JSON or JSON lines."""

from nnr_codec.inspect.views.tables.ledger_tables import context_table, stat_table
from nnr_codec.inspect.views.tables.table import Column, Table
from nnr_codec.inspect.views.tables.tensor_table import tensor_lines_table, tensor_table
from nnr_codec.inspect.views.tables.trace_table import trace_table
from nnr_codec.inspect.views.tables.unit_table import headline_of, unit_table

__all__ = [
    "Column",
    "Table",
    "context_table",
    "headline_of",
    "stat_table",
    "tensor_lines_table",
    "tensor_table",
    "trace_table",
    "unit_table",
]
