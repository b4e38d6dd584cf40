# SPDX-License-Identifier: Apache-2.0
"""HTML page: one self-contained file of bounded size, without network requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from nnr_codec.inspect.explain import CODED_ELEMENTS, MEANINGS
from nnr_codec.inspect.read import Fault, Piece, StrayBytes, Summary, Survey, TensorLine, UnitReport
from nnr_codec.inspect.read.fault import status_of
from nnr_codec.inspect.read.ledger import CLASS_MEANINGS, CLASSES
from nnr_codec.inspect.read.summary import tensor_lines
from nnr_codec.inspect.read.unit import BODIES, PAYLOADS
from nnr_codec.inspect.views.paint import plain, value_text
from nnr_codec.inspect.views.tables import headline_of
from nnr_codec.inspect.views.verdict import verdict_of
from nnr_codec.syntax import TraceEvent

#: Bounds of the page's content. The page states how much more the stream has.
_MOST_ELEMENTS = 12_000
_MOST_UNITS = 3_000
_MOST_TENSORS = 2_000
_MOST_CONTEXTS = 60
_HEADER_BYTES = 1_024  # shown bytes of a unit's header
_CONTENT_BYTES = 96  # shown bytes of a unit's content

_SCRIPTS = ("page_dom.js", "page_charts.js", "page_tensors.js", "page_explorer.js")


def page_lines(name: str, survey: Survey, summary: Summary) -> Iterator[str]:
    """Yield the page; the walk also fills ``summary``."""
    content = _content(name, survey, summary)
    # Markup inside the script element would end it.
    embedded = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
    assets = resources.files("nnr_codec.inspect.views.html") / "assets"
    page = (assets / "page.html").read_text("utf-8")
    style = (assets / "page.css").read_text("utf-8")
    script = "\n".join((assets / part).read_text("utf-8") for part in _SCRIPTS)
    for marker, text in (("/*STYLE*/", style), ("/*CONTENT*/", embedded), ("/*SCRIPT*/", script)):
        before, _, page = page.partition(marker)
        yield before + text
    yield page


def _content(name: str, survey: Survey, summary: Summary) -> dict[str, Any]:
    units: list[dict[str, Any]] = []
    tensors: list[dict[str, Any]] = []
    meanings: dict[str, str] = {}
    n_elements = n_units = n_tensors = 0
    for piece in survey:
        summary.add(piece)
        n_units += 1
        if len(units) < _MOST_UNITS:
            detailed = n_elements < _MOST_ELEMENTS
            units.append(_unit(piece, survey.view, detailed))
            if isinstance(piece, UnitReport) and detailed:
                n_elements += len(piece.events)
                meanings |= {e.element: MEANINGS[e.element] for e in piece.events if e.element in MEANINGS}
        if isinstance(piece, UnitReport):
            for index, line in enumerate(tensor_lines(piece)):
                n_tensors += 1
                if len(tensors) < _MOST_TENSORS:
                    tensors.append(_tensor(piece, index, line))
    ledger = summary.ledger
    payload = sorted(ledger.payload.items(), key=lambda item: -item[1].bits)
    contexts = sorted(ledger.contexts.items(), key=lambda item: -item[1].bits)[:_MOST_CONTEXTS]
    return {
        "name": plain(name.rpartition("/")[2]),
        "size": survey.size_bytes,
        "profile": summary.profile,
        "weights": summary.n_weights,
        "counts": dict(summary.unit_counts),
        "quantization": summary.quantization,
        "verdict": verdict_of(summary),
        "faults": [_fault(fault) for fault in summary.faults[:200]],
        "notes": [plain(note) for note in summary.notes[:50]],
        "levels": {"n": ledger.n_levels, "bits": ledger.level_bits, "entropy": ledger.entropy_bits},
        "classes": [[kind, ledger.classes[kind], CLASS_MEANINGS[kind]] for kind in CLASSES],
        "exact": ledger.is_exact(survey.size_bytes),
        "payload": [
            [
                element,
                spent.bits,
                spent.n_bins,
                CODED_ELEMENTS[element].meaning if element in CODED_ELEMENTS else "",
            ]
            for element, spent in payload
        ],
        "headers": [
            [element, bits, MEANINGS.get(element, "")] for element, bits in ledger.headers.most_common()
        ],
        "contexts": [
            [element, context, spent.n_bins, spent.n_ones / spent.n_bins, spent.bits, spent.entropy_per_bin]
            for (element, context), spent in contexts
        ],
        "units": units,
        "hidden": {"units": n_units - len(units), "tensors": n_tensors - len(tensors)},
        "tensors": tensors,
        "meanings": meanings,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    texts = {"kind": fault.kind, "message": fault.message, "path": fault.path, "clause": fault.clause}
    texts |= {"expected": fault.expected, "actual": fault.actual}
    shown: dict[str, Any] = {key: plain(text) for key, text in texts.items() if text is not None}
    return {**shown, "bit": fault.bit_offset, "guess": fault.guess}


def _unit(piece: Piece, view: memoryview, detailed: bool) -> dict[str, Any]:
    faults = [_fault(fault) for fault in piece.faults]
    if isinstance(piece, StrayBytes):
        shown = view[piece.byte_offset : piece.byte_offset + min(piece.size_bytes, _CONTENT_BYTES)]
        return {
            "index": None,
            "type": "stray bytes",
            "offset": piece.byte_offset,
            "size": piece.size_bytes,
            "what": "",
            "faults": faults,
            "elements": [],
            "hex": bytes(shown).hex(),
        }
    span = piece.span
    end = span.byte_offset + span.size_bytes
    content = [event.bit_offset >> 3 for event in piece.events if event.element in (*PAYLOADS, *BODIES)]
    header_end = min(content[0] if content else end, span.byte_offset + _HEADER_BYTES)
    shown_end = min(end, header_end + _CONTENT_BYTES)
    return {
        "index": span.index,
        "type": piece.type_name,
        "offset": span.byte_offset,
        "size": span.size_bytes,
        "what": plain(headline_of(piece)),
        "guess": piece.guess,
        "faults": faults,
        "gaps": [[gap.bit_offset, gap.n_bits] for gap in piece.gaps],
        "elements": [_element(event, span.path) for event in piece.events] if detailed else None,
        "hex": bytes(view[span.byte_offset : shown_end]).hex() if detailed else "",
    }


def _element(event: TraceEvent, root: str) -> list[Any]:
    path = event.path.removeprefix(root).lstrip(".")
    value = value_text(event.value, event.symbol, longest=24)
    if event.element == "byte_alignment" and event.n_bits:
        value = f"{event.raw:0{event.n_bits}b}"
    status = status_of(event)
    return [
        path,
        event.element,
        event.descriptor,
        event.bit_offset,
        event.n_bits,
        value,
        event.clause,
        "" if status == "ok" else plain(status),
    ]


def _tensor(piece: UnitReport, index: int, line: TensorLine) -> dict[str, Any]:
    elements: list[tuple[str, float]] = []
    if piece.payload is not None and piece.payload.tensors:
        prices = piece.payload.tensors[index].elements
        elements = sorted(((name, price.bits) for name, price in prices.items()), key=lambda item: -item[1])
    return {
        "unit": line.unit,
        "name": plain(line.name),
        "role": line.role,
        "type": line.payload_type.removeprefix("NNR_PT_"),
        "shape": "\N{MULTIPLICATION SIGN}".join(map(str, line.shape)) or "scalar",
        "n": line.n_weights,
        "bits": round(line.bits, 3),
        "entropy": line.entropy,
        "nonzero": line.n_nonzero,
        "min": line.minimum,
        "max": line.maximum,
        "qp": line.qp,
        "step": line.step_size,
        "dq": line.dependent,
        "scan": line.scan_order,
        "codebook": line.codebook_size,
        "skipped": line.n_skipped_rows,
        "histogram": line.histogram,
        "width": line.bin_width,
        "elements": [[name, round(bits, 2)] for name, bits in elements],
    }
