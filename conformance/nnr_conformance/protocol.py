# SPDX-License-Identifier: Apache-2.0
"""Constants of the JSON-lines protocol and of the command-line contract."""

from __future__ import annotations

PROTOCOL = "nnr-conformance/1"
EXIT_DECODED, EXIT_REJECTED, EXIT_UNSUPPORTED = 0, 1, 69
