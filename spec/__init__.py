# SPDX-License-Identifier: Apache-2.0
"""Specification of the bitstream, and its reference decoder ``spec.model``."""
