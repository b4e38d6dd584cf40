# SPDX-License-Identifier: Apache-2.0
"""HTML page of a stream, with its style and scripts."""

from nnr_codec.inspect.views.html.page import page_lines

__all__ = ["page_lines"]
