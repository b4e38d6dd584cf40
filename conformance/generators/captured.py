# SPDX-License-Identifier: Apache-2.0
"""Captured vectors: streams of other programs, whose bytes are stored instead of generated.

The streams are files of the suites; ``captured.json`` describes them. ``capture`` adds new ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.generators.case import Case, Collection, Fault

HERE = Path(__file__).parent
INDEX = HERE / "captured.json"

_FEATURES = {
    "uniform": "uniform", "dependent quantisation": "dependent-quantization", "entry points": "entry-points",
    "codebook": "codebook", "NNR_PT_INT": "integer-payload", "NNR_PT_BLOCK": "block-payload", "BN": "batch-norm",
    "BI": "bias", "LS": "local-scaling", "DC": "low-rank", "temporal context": "temporal-context",
    "history significance": "history-context", "long Exp-Golomb": "exp-golomb", "row skip": "row-skip",
    "all initialisations 0": "context-initialization", "qp_density 0": "qp-density", "qp_density 3": "qp-density",
}  # fmt: skip


def add_captured(suites: dict[str, Collection], folder: Path) -> None:
    """Add every captured vector to its suite; ``folder`` is the folder of the suites."""
    for entry in json.loads(INDEX.read_text(encoding="utf-8")):
        suite = entry["id"].partition("/")[0]
        streams = list(_streams(entry, folder / suite))
        fault = (
            Fault(**{**entry["fault"], "classes": tuple(entry["fault"]["classes"])})
            if "fault" in entry
            else None
        )
        suites[suite].add(
            entry["id"].partition("/")[2], entry["purpose"], " ".join(entry["features"]), streams,
            profile=entry["profile"], tool=entry["tool"], tool_version=entry.get("version", ""),
            options=entry.get("options", {}), comment=entry.get("comment", ""), verdict=entry.get("verdict", "accept"),
            fault=fault, requirement=entry.get("requirement", "shall"),
        )  # fmt: skip


def file_names(name: str, count: int) -> list[str]:
    """Paths of the streams of a vector below its suite."""
    flat = name.partition("/")[2].replace("/", ".")
    return [f"vectors/{flat}{'' if count == 1 else f'.{k}'}.nnc" for k in range(count)]


def _streams(entry: dict[str, Any], folder: Path) -> Iterator[bytes]:
    for file, sha256 in zip(file_names(entry["id"], len(entry["sha256"])), entry["sha256"], strict=True):
        content = (folder / file).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{file} is not the stream that was captured")
        yield content


def capture(case: Case, folder: Path) -> None:
    """Store the streams of a case and describe them in ``captured.json``."""
    entries = {e["id"]: e for e in json.loads(INDEX.read_text(encoding="utf-8"))} if INDEX.exists() else {}
    suite = case.id.partition("/")[0]
    for file, stream in zip(file_names(case.id, len(case.streams)), case.streams, strict=True):
        path = folder / suite / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream)
    entry: dict[str, Any] = {
        "id": case.id, "purpose": case.purpose, "profile": case.profile, "features": list(case.features),
        "tool": case.tool, "version": case.tool_version, "options": case.options, "comment": case.comment,
        "verdict": case.verdict, "requirement": case.requirement,
        "sha256": [hashlib.sha256(stream).hexdigest() for stream in case.streams],
    }  # fmt: skip
    if case.fault is not None:
        entry["fault"] = {
            "classes": list(case.fault.classes),
            "stage": case.fault.stage,
            "stream": case.fault.stream,
        }
    entries[case.id] = entry
    ordered = [entries[key] for key in sorted(entries)]
    INDEX.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def nncodec_cases(folder: Path) -> Iterator[Case]:
    """Describe NNCodec streams of a folder with an ``index.json``; updates are chained by ``after``."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    followed = {entry["after"] for entry in index if entry["after"]}
    by_file = {entry["file"]: entry for entry in index}
    for entry in index:
        if entry["file"] in followed:
            continue
        chain = [entry]
        while chain[0]["after"]:
            chain.insert(0, by_file[chain[0]["after"]])
        streams = [(folder / part["file"]).read_bytes() for part in chain]
        profile = streams[0][3]
        stem = (
            chain[-1]["file"]
            .removesuffix(".nnc")
            .removesuffix(f"_{len(chain) - 1}" if len(chain) > 1 else "")
        )
        features = list(
            dict.fromkeys(_FEATURES[f] for part in chain for f in part["features"] if f in _FEATURES)
        )
        features += ["block-scan"] * any("scan" in f for f in chain[0]["features"]) + ["incremental"] * (
            len(chain) > 1
        )
        suite = "extended" if profile else "core"
        yield Case(
            f"{suite}/nncodec/{stem.lower().replace('_', '-')}", "A decoder that cannot read what the open reference-grade encoder writes.",
            profile, tuple(features or ["float-payload"]), streams, tool="nncodec", tool_version="2.1.3",
            options={"features": chain[0]["features"]},
        )  # fmt: skip


def own_cases() -> Iterator[Case]:
    """Encode streams with this repository's encoder and many of its options."""
    import numpy as np

    from nnr_codec import encode
    from nnr_codec.codec.encode.config import EncoderConfig
    from nnr_codec.codec.encode.encoder import Encoder

    rng = np.random.default_rng(17)
    tensors = {
        "conv.weight": rng.laplace(0, 0.1, (12, 4, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(0, 1, 12).astype(np.float32),
        "fc.weight": np.where(rng.random((20, 31)) < 0.2, rng.normal(0, 1, (20, 31)), 0).astype(np.float32),
        "steps": np.array([100000], np.int32),
        "scale": np.float32(0.5),
    }
    tensors["fc.weight"][3:6] = 0
    options: dict[str, dict[str, Any]] = {
        "default": {}, "uniform": {"dependent": False}, "profile-0": {"general_profile_idc": 0},
        "scan-1": {"scan_order": 1}, "scan-2-uniform": {"scan_order": 2, "dependent": False}, "scan-4": {"scan_order": 4},
        "codebook": {"codebook": True, "dependent": False, "relative_error": 0.3}, "unary-1": {"unary_length": 1}, "no-row-skip": {"row_skip": False},
        "no-initialisations": {"search_initialisations": False}, "bits-4": {"bit_depth": 4}, "density-5": {"qp_density": 5},
        "profile-0-scan-1": {"general_profile_idc": 0, "scan_order": 1, "dependent": False},
    }  # fmt: skip
    for name, chosen in options.items():
        profile = chosen.get("general_profile_idc", 1)
        stream = encode(tensors, EncoderConfig(**chosen, describe_source=False))
        features = ["float-payload", "integer-payload"] + (
            ["uniform"] if chosen.get("dependent") is False else ["dependent-quantization"]
        )
        features += ["block-scan", "entry-points"] * ("scan_order" in chosen) + ["codebook"] * (
            "codebook" in chosen
        )
        yield Case(
            f"{'extended' if profile else 'core'}/nnr-codec/{name}", "A decoder that cannot read what this repository's encoder writes.",
            profile, tuple(features), [stream], tool="nnr_codec.encode", options=dict(chosen),
        )  # fmt: skip
    update_options: dict[str, dict[str, Any]] = {
        "updates": {},
        "updates-scan-1": {"scan_order": 1},
        "updates-uniform": {"dependent": False},
    }
    for name, chosen in update_options.items():
        encoder = Encoder(EncoderConfig(incremental=True, describe_source=False, qp=-8, **chosen))
        streams = []
        for number in range(4):
            update = {
                key: (
                    np.where(rng.random(value.shape) < 0.3, value + rng.normal(0, 0.1, value.shape), 0)
                ).astype(np.float32)
                for key, value in tensors.items()
                if value.dtype == np.float32 and value.ndim
            }
            if number == 2:
                update["conv.bias"][:] = 0
            streams.append(encoder.encode(update))
        yield Case(
            f"extended/nnr-codec/{name}", "A decoder that cannot follow this repository's updates.", 1,
            ("incremental", "temporal-context", "history-context"), streams, tool="nnr_codec.codec.Encoder", options=dict(chosen),
        )  # fmt: skip
