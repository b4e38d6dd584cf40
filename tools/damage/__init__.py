# SPDX-License-Identifier: Apache-2.0
"""Damage test: every truncation and every flipped bit of the conformance vectors. See ``python -m tools.damage --help``."""
