# SPDX-License-Identifier: Apache-2.0
"""Existence of everything that the README names. Pytest collects its examples as doctests."""

from __future__ import annotations

import re
from importlib.util import find_spec

from nnr_codec.cli.app import COMMANDS
from tests.architecture.sources import ROOT
from tools.dev import TASKS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_rooms_exist() -> None:
    rooms = re.findall(r"^\| `([\w./]+)/` \|", README, re.MULTILINE)
    assert len(rooms) > 8
    assert not [room for room in rooms if not (ROOT / room).is_dir()]


def test_commands_exist() -> None:
    used = set(re.findall(r"^ *(?:\$ )?nnr (\w+)", README, re.MULTILINE))
    assert used
    assert used <= set(COMMANDS)


def test_tasks_and_modules_of_the_pages_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "spec").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    tasks = set(re.findall(r"tools/dev\.py ([a-z][a-z-]*)", text))
    modules = set(re.findall(r"python3? -m ((?:tools|conformance|nnr_conformance)[\w.]*\w)", text))
    assert {"check", "docs"} <= tasks <= set(TASKS)
    assert "tools.damage" in modules
    assert not [name for name in modules if find_spec(name) is None]


def test_it_says_what_it_must() -> None:
    assert "python3 tools/dev.py demo" in README
    assert "python3 tools/dev.py check" in README
    assert "patents" in README
