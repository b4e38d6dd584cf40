# SPDX-License-Identifier: Apache-2.0
"""Fuzzers of the native core, the Python decoder and the encoder. See ``python -m tools.fuzz --help``."""
