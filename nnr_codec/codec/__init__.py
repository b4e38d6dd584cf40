# SPDX-License-Identifier: Apache-2.0
"""Encoding and decoding of whole streams: the room where syntax, entropy coding, quantisation and transforms meet.

``stream`` reads units in order, ``decode`` turns them into tensors, ``encode`` turns tensors into units.
"""
