# SPDX-License-Identifier: Apache-2.0
"""Documentation site: gathers the pages, generates the reference, and builds `build/site`.

Run as `python -m tools.site`. Pages keep their places relative to each other, so that links work both in the repository and
on the site. The build is strict: a dead link or a public name without a page fails it.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import click
import yaml

import nnr_codec
from nnr_codec.cli.app import COMMANDS, nnr

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build/site-pages"
CONFIG = ROOT / "build/mkdocs.yml"

#: Pages and folders of pages that make up the site.
SOURCES = (
    "docs",
    "spec",
    "conformance/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "tools/research/reproduce/README.md",
)

#: Sections of the API reference, in reading order. Every public name stands in one.
API_SECTIONS: dict[str, tuple[str, ...]] = {
    "Arrays and bytes": ("encode", "decode", "Encoder", "Decoder", "EncoderConfig", "QuantizedTensor"),
    "Files": ("encode_file", "EncodeReport", "TensorError", "decode_file", "DecodeReport", "open", "StreamFile"),
    "Streams": ("describe", "StreamSummary", "TensorSummary", "SourceDescription", "validate", "Finding", "Severity",
        "UnitIndex", "Limits"),
    "Targets": (
        "compress_to_target", "TargetReport", "TensorReport", "compress_to_quality", "SearchReport", "compress_file",
        "CompressReport",
    ),
    "Importance": ("Curvature", "importance"),
    "Rate estimation": ("rate",),
    "Transforms": ("transform",),
    "Errors": (
        "NnrError", "BitstreamError", "TruncatedBitstream", "MalformedBitstream", "UnsupportedBitstream", "LimitExceeded",
        "NotEncodable", "InternalError", "QualityWarning",
    ),
}  # fmt: skip


#: Modules for other libraries, which are imported by their own names.
LIBRARY_ROOMS = ("numpy", "torch", "transformers", "onnx")


def gather() -> None:
    """Copy the pages and their pictures to `build/site-pages`."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for source in SOURCES:
        path = ROOT / source
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.suffix in (".md", ".svg", ".png"):
                target = PAGES / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)


def api_page() -> str:
    """Return the page of the API reference: a directive for each public name."""
    lines = [
        "# Python API",
        "",
        "Names are attributes of `nnr_codec`, apart from the modules for other libraries.",
        "",
    ]
    for section, names in API_SECTIONS.items():
        lines += [f"## {section}", ""]
        for name in names:
            lines += [f"::: {path}\n" for path in paths_of(name)]
    lines += ["## Other libraries", "", *(f"::: nnr_codec.{name}\n" for name in LIBRARY_ROOMS)]
    return "\n".join(lines)


def paths_of(name: str) -> list[str]:
    """Return the full paths at which a public name, or the names of a public room, are defined."""
    value = getattr(nnr_codec, name)
    if not hasattr(value, "__all__"):
        return [f"{value.__module__}.{value.__qualname__}"]
    members = [getattr(value, member) for member in value.__all__]
    return [f"{m.__module__}.{m.__qualname__}" for m in members if m.__module__.startswith("nnr_codec.")]


def cli_page() -> str:
    """Return the page of the command line: the help of every command."""
    lines = ["# Command line", "", "```text", _help(nnr, "nnr"), "```", ""]
    for name, (module, _) in COMMANDS.items():
        command = importlib.import_module(module).command
        lines += [f"## nnr {name}", "", "```text", _help(command, f"nnr {name}"), "```", ""]
    return "\n".join(lines)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
    return command.get_help(context)


def spec_navigation() -> list[dict[str, str]]:
    """Return the pages of the specification in order, by their first headings."""
    pages = sorted((PAGES / "spec").glob("*.md"))
    return [{heading(page): str(page.relative_to(PAGES))} for page in pages]


def heading(page: Path) -> str:
    """Return the first heading of a page."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            return line[2:].strip()
    return page.stem


def main(arguments: list[str]) -> int:
    """Build the site and return the exit code of mkdocs."""
    gather()
    for name, text in (("api", api_page()), ("cli", cli_page())):
        page = PAGES / f"docs/reference/{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    for entry in config["nav"]:
        if "Specification" in entry:
            entry["Specification"] = spec_navigation()
    config["docs_dir"], config["site_dir"] = str(PAGES), str(ROOT / "build/site")
    CONFIG.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(CONFIG), *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
