# SPDX-License-Identifier: Apache-2.0
"""Documentation pages: their commands run, their links lead somewhere, and every public name has a page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnr_codec
from nnr_codec.frameworks import save_model
from tests.architecture.sources import ROOT
from tools.site import API_SECTIONS, SOURCES

PAGES = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = [page for page in PAGES if "```console" in page.read_text(encoding="utf-8")]
RNG = np.random.default_rng(2)
MODEL = {
    "body.weight": RNG.standard_normal((96, 128)).astype(np.float32),
    "head.weight": RNG.standard_normal((10, 96)).astype(np.float32),
    "head.bias": RNG.standard_normal(10).astype(np.float32),
}


def write_classifier(folder: Path) -> None:
    """Write an ONNX model of one layer, and samples of its input."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "head.weight", "head.bias"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], ["classes"], axis=-1),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", kind, ["n", 96])],
        [helper.make_tensor_value_info("classes", kind, ["n", 10])],
        [onnx.numpy_helper.from_array(MODEL[name], name) for name in ("head.weight", "head.bias")],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), folder / "model.onnx")
    np.savez(folder / "samples.npz", x=RNG.standard_normal((64, 96)))


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(os.name != "posix", reason="the examples are for a POSIX shell")
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    save_model(tmp_path / "model.safetensors", MODEL)
    (tmp_path / "parts").mkdir()
    if "model.onnx" in "".join(fenced(text, "console")):
        write_classifier(tmp_path)
    for script in fenced(text, "python"):
        match = re.match(r"# (\w+\.py)\n", script)
        if match:
            (tmp_path / match[1]).write_text(script)
    (tmp_path / "nnr").write_text(f'#!/bin/sh\nexec {sys.executable} -m nnr_codec.cli "$@"\n')
    (tmp_path / "nnr").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    commands = [
        line[2:] for block in fenced(text, "console") for line in block.splitlines() if line.startswith("$ ")
    ]
    assert commands
    if not commands[0].startswith("nnr encode model.safetensors"):
        # A page that begins with a stream takes the one of the first guide.
        commands.insert(0, "nnr encode model.safetensors")
    for command in commands:
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


def test_every_public_name_stands_in_the_reference() -> None:
    documented = [name for names in API_SECTIONS.values() for name in names]
    assert sorted(documented) == sorted(set(nnr_codec.__all__) - {"__version__"})
    assert all(getattr(nnr_codec, name).__doc__ for name in documented)


def test_links_between_pages_lead_somewhere() -> None:
    pages = [
        path
        for source in SOURCES
        for path in ([ROOT / source] if source.endswith(".md") else (ROOT / source).rglob("*.md"))
    ]
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists() and "docs/reference/" not in str((page.parent / link).resolve())
    ]
    assert not dead
