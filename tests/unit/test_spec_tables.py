# SPDX-License-Identifier: Apache-2.0
"""Syntax tables of the specification held to the construct declarations."""

from pathlib import Path

import pytest

from tools import spec_tables


def test_pages_show_the_declared_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert spec_tables.main(["--check"]) == 0, capsys.readouterr().err


def test_a_page_that_differs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in spec_tables.PAGES.glob("*.md"):
        text = page.read_text(encoding="utf-8").replace(
            "put_node_depth           ", "put_node_depths          "
        )
        (tmp_path / page.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(spec_tables, "PAGES", tmp_path)
    assert spec_tables.main(["--check"]) == 1
    assert spec_tables.main([]) == 0
    assert spec_tables.main(["--check"]) == 0


def test_conditions_and_indices_are_rendered() -> None:
    text = spec_tables.render(spec_tables.tables()["sparsification_performance_map"])
    assert "for (i = 0; i < spm_count_thresholds - 1; i++) {" in text
    assert "spm_nn_class_accuracy[i][j]" in text
