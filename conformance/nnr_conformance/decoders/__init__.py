# SPDX-License-Identifier: Apache-2.0
"""Interfaces to decoders: command, persistent child and Python callable."""

from nnr_conformance.decoders.callable import CallableDecoder
from nnr_conformance.decoders.command import CommandDecoder
from nnr_conformance.decoders.decoder import Claims, Decoder
from nnr_conformance.decoders.jsonl import JsonlDecoder

__all__ = ["CallableDecoder", "Claims", "CommandDecoder", "Decoder", "JsonlDecoder"]
