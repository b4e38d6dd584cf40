# SPDX-License-Identifier: Apache-2.0
"""The C++ core: headers that compile alone, a portable build without processor-specific code, a current stub."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

INCLUDE = ROOT / "native/include"
HEADERS = sorted(INCLUDE.rglob("*.hpp"))
COMPILER = shlex.split(os.environ.get("CXX", "c++"))
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
#: Inline assembly, code for a processor feature, its detection, and intrinsics.
PROCESSOR_SPECIFIC = re.compile(
    r"\b(?:asm|__asm|__asm__)\b|\btarget\s*\(|\b__builtin_cpu_\w+|\b__get_cpuid\w*|\b_mm\d*_\w+"
)


def compile_source(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the compiler over a source on its standard input."""
    command = [*COMPILER, "-std=c++20", f"-I{INCLUDE}", *options, "-x", "c++", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)


def own_lines(source: Path, *options: str) -> str:
    """Preprocess a source, and return the lines that come from files of this repository."""
    preprocessed = compile_source(f'#include "{source}"\n', "-E", *options)
    assert preprocessed.returncode == 0, preprocessed.stderr
    lines, is_own = [], False
    for line in preprocessed.stdout.splitlines():
        if marker := re.match(r'#(?:line)? \d+ "([^"]*)"', line):
            is_own = Path(marker[1]).is_relative_to(ROOT / "native")
        elif is_own:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_a_header_compiles_alone_and_twice(header: Path) -> None:
    line = f'#include "{header.relative_to(INCLUDE)}"\n'
    result = compile_source(2 * line, "-fsyntax-only", *WARNINGS)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: path.name)
def test_a_header_opens_with_a_contract(header: Path) -> None:
    lines = header.read_text(encoding="utf-8").splitlines()
    contract = lines[1 : lines.index("#pragma once")]
    assert contract
    assert all(line.startswith("//") for line in contract)
    assert re.match(r"// (?!What|Where|Which|How|Whether|Who|From|When|Why)[A-Z]", contract[0])


def test_a_portable_build_holds_portable_code_only() -> None:
    sources = sorted((ROOT / "native/src").glob("*.cpp"))
    specific = {path.name for path in sources if PROCESSOR_SPECIFIC.search(own_lines(path, "-DNNR_PORTABLE"))}
    assert not specific


def test_the_guard_of_processor_specific_code_is_one_macro() -> None:
    # Proves that the search above finds what a build for this kind of processor has, and that nothing else guards it.
    code = {path: path.read_text(encoding="utf-8") for path in (ROOT / "native").rglob("*.[ch]pp")}
    assert PROCESSOR_SPECIFIC.search(code[INCLUDE / "nnr/fast_engine.hpp"])
    assert PROCESSOR_SPECIFIC.search(code[INCLUDE / "nnr/processor.hpp"])
    for path, text in code.items():
        assert "__x86_64__" not in text or path.name == "processor.hpp"
        assert not PROCESSOR_SPECIFIC.search(text) or "NNR_X86_KERNELS" in text


def test_the_stub_is_current(tmp_path: Path) -> None:
    stub = tmp_path / "_native.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "nnr_codec._native", "-o", str(stub)]
    subprocess.run(command, check=True, capture_output=True)
    licence, _, current = (ROOT / "nnr_codec/_native.pyi").read_text(encoding="utf-8").partition("\n")
    assert licence == "# SPDX-License-Identifier: Apache-2.0"
    assert stub.read_text(encoding="utf-8") == current, "run: tools/dev.py stubs"
