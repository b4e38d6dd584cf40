# SPDX-License-Identifier: Apache-2.0
"""Conformance checking for decoders of ISO/IEC 15938-17 bitstreams."""
