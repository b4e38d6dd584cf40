# SPDX-License-Identifier: Apache-2.0
"""Every truncation and every flipped bit of the conformance vectors: ``python -m tools.damage --help``."""
