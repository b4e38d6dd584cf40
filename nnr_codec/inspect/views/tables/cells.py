# SPDX-License-Identifier: Apache-2.0
"""Cell formats of the table views."""

from __future__ import annotations

from typing import Any

from nnr_codec.inspect.views.paint import value_text


def count_text(value: int) -> str:
    """Return ``1,234``."""
    return f"{value:,}"


def share_text(value: float) -> str:
    """Return a share of 1 as ``12.3 %``."""
    return f"{100 * value:.1f} %"


def change_text(value: float) -> str:
    """Return a relative change as ``+12.3 %``."""
    return f"{100 * value:+.1f} %"


def rate_text(value: float) -> str:
    """Return bits per weight or bin as ``1.234``."""
    return f"{value:.3f}"


def bits_text(value: float) -> str:
    """Return fractional bits as ``1,234.5``."""
    return f"{value:,.1f}"


def shape_text(value: tuple[int, ...]) -> str:
    """Return a shape as ``64x3x3``."""
    return "x".join(map(str, value)) or "scalar"


def element_text(value: Any) -> str:
    """Return an element's value, long bytes shortened."""
    return value_text(value, longest=12)
