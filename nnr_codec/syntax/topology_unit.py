# SPDX-License-Identifier: Apache-2.0
"""Syntax of the topology unit, and bounded inflation of deflate streams."""

from __future__ import annotations

import zlib
from typing import Any

from nnr_codec.errors import LimitExceeded, MalformedBitstream, TruncatedBitstream
from nnr_codec.model import Limits, TopologyCompressionFormat, TopologyStorageFormat, TopologyUnit
from nnr_codec.syntax.descriptors import bs, u
from nnr_codec.syntax.grammar import Choice, Syntax, Tree
from nnr_codec.syntax.topology_elements import TOPOLOGY_ELEMENTS_IDS_LIST, ids_list_tree

NNR_TOPOLOGY_UNIT_HEADER = Syntax(
    "nnr_topology_unit_header",
    "topology_storage_format" / u(8, TopologyStorageFormat),
    "topology_compression_format" / u(8, TopologyCompressionFormat),
    clause="format 2",
)
NNR_TOPOLOGY_UNIT_PAYLOAD = Syntax(
    "nnr_topology_unit_payload",
    Choice(
        "topology_storage_format",
        {
            TopologyStorageFormat.NNR_TPL_PRUN: Syntax(
                "", "nnr_pruning_topology_container" / bs(), clause="format 2"
            ),
            TopologyStorageFormat.NNR_TPL_REFLIST: Syntax(
                "", "topology_elements_ids_list" / TOPOLOGY_ELEMENTS_IDS_LIST, clause="format 2"
            ),
        },
        default=Syntax("", "topology_data" / bs(), clause="format 2"),
    ),
    clause="format 2",
)


def inflate(octets: bytes | memoryview, limits: Limits, element: str) -> bytes:
    """Inflate a deflate stream, with or without zlib wrapper, to at most ``max_topology_bytes``.

    One zero byte may follow the deflate stream, because some encoders write the field as text.

    Raises
    ------
    MalformedBitstream
        The data is not a deflate stream, or bytes follow it.
    TruncatedBitstream
        The deflate stream is incomplete.
    LimitExceeded
        The inflated size exceeds ``max_topology_bytes``.
    """
    head = bytes(octets[:2])
    wrapped = len(head) == 2 and head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0
    inflater = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
    bound = limits.max_topology_bytes
    try:
        inflated = inflater.decompress(octets, 0 if bound is None else bound + 1)
    except zlib.error as error:
        raise MalformedBitstream(f"{element} does not inflate: {error}", element=element) from None
    if bound is not None and len(inflated) > bound:
        raise LimitExceeded(
            f"{element} inflates to more than max_topology_bytes, which is {bound}", element=element
        )
    if not inflater.eof:
        raise TruncatedBitstream(f"{element} ends inside its deflate stream", element=element)
    if inflater.unused_data not in (b"", b"\0"):
        raise MalformedBitstream(f"bytes follow the deflate stream of {element}", element=element)
    return inflated


def without_terminator(octets: bytes | memoryview) -> bytes:
    """Return the bytes without one trailing zero byte. Some encoders write ``st(v)``, others ``bs(v)``."""
    return bytes(octets[:-1] if len(octets) and octets[-1] == 0 else octets)


def topology_unit(tree: Tree, limits: Limits, **every_unit: Any) -> TopologyUnit:
    """Return the unit of a parsed tree."""
    compression = TopologyCompressionFormat(tree["topology_compression_format"])
    names: tuple[str, ...] = ()
    content = b""
    if "topology_data" in tree:
        if compression is TopologyCompressionFormat.NNR_DFL:
            content = inflate(tree["topology_data"], limits, "topology_data")
        else:
            content = without_terminator(tree["topology_data"])
    elif "topology_elements_ids_list" in tree:
        names = tuple(tree["topology_elements_ids_list"]["topology_elem_id_list"])
    else:
        content = bytes(tree["nnr_pruning_topology_container"])
    storage = TopologyStorageFormat(tree["topology_storage_format"])
    return TopologyUnit(storage, compression, content, names, **every_unit)


def topology_unit_tree(unit: TopologyUnit) -> Tree:
    """Return the syntax elements of a unit."""
    tree: Tree = {
        "topology_storage_format": int(unit.storage_format),
        "topology_compression_format": int(unit.compression_format),
    }
    if unit.storage_format == TopologyStorageFormat.NNR_TPL_REFLIST:
        tree["topology_elements_ids_list"] = ids_list_tree(unit.topology_elem_ids, "topology_elem_id_list")
    elif unit.storage_format == TopologyStorageFormat.NNR_TPL_PRUN:
        tree["nnr_pruning_topology_container"] = unit.topology_data
    elif unit.compression_format == TopologyCompressionFormat.NNR_DFL:
        tree["topology_data"] = zlib.compress(unit.topology_data, 9)
    else:
        tree["topology_data"] = unit.topology_data + b"\0"
    return tree
