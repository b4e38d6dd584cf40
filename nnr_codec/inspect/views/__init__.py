# SPDX-License-Identifier: Apache-2.0
"""Views of a survey: summary, tree, hex dump, tables, JSON, the HTML page, and the comparison of two streams."""

from nnr_codec.inspect.views.difference import Difference, compare, difference_record
from nnr_codec.inspect.views.difference_text import difference_lines
from nnr_codec.inspect.views.document import unit_record
from nnr_codec.inspect.views.dump import Dump
from nnr_codec.inspect.views.explanation import element_list_lines, explanation_lines, values_of_element
from nnr_codec.inspect.views.paint import Paint

__all__ = [
    "Difference",
    "Dump",
    "Paint",
    "compare",
    "difference_lines",
    "difference_record",
    "element_list_lines",
    "explanation_lines",
    "unit_record",
    "values_of_element",
]
