# SPDX-License-Identifier: Apache-2.0
"""Texts that every Debian system has: its licences."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path("/usr/share/common-licenses")


def licence(name: str) -> str:
    """Return the text of a licence, such as ``GPL-3``."""
    return (_FOLDER / name).read_text()


def licence_words(name: str = "GPL-3") -> list[str]:
    """Return the distinct words of a licence from five letters, in order of first use."""
    return list(dict.fromkeys(re.findall(r"[a-z]{5,}", licence(name).lower())))
