# SPDX-License-Identifier: Apache-2.0
"""Campaign of faults in the Rust decoder: its record, and the selection of vectors."""

from __future__ import annotations

from collections import Counter

import pytest

from tools.mutants import campaign


@pytest.fixture(scope="module")
def faults() -> list[campaign.CrateFault]:
    return campaign.load_faults()


def test_there_are_faults_of_many_kinds(faults: list[campaign.CrateFault]) -> None:
    assert len({fault.key for fault in faults}) == len(faults) >= 100
    kinds = Counter(fault.kind for fault in faults)
    assert {"off by one", "wrong context", "missing reset", "wrong rounding", "wrong order", "wrong limit", "leak of state",
            "missing check", "wrong inference"} <= kinds.keys()  # fmt: skip
    assert min(kinds.values()) >= 3


def test_every_fault_applies(faults: list[campaign.CrateFault]) -> None:
    for fault in faults:
        assert all(
            text != (campaign.CRATE / "src" / name).read_text("utf-8")
            for name, text in fault.sources().items()
        )


def test_a_fault_of_an_older_source_is_refused() -> None:
    fault = campaign.CrateFault(
        "a kind", "a name", [{"file": "level.rs", "before": "no such text", "after": ""}]
    )
    with pytest.raises(ValueError, match="0 times"):
        fault.sources()


def test_at_most_two_survivors_change_something(faults: list[campaign.CrateFault]) -> None:
    reasons = campaign.load_reasons()
    assert reasons.keys() <= {fault.key for fault in faults}
    assert all(len(reason.split()) > 3 for reason in reasons.values())
    assert sum(not reason.startswith("Equivalent: ") for reason in reasons.values()) <= 2


def test_likely_vectors_come_first(faults: list[campaign.CrateFault]) -> None:
    order = campaign.Order(campaign.required_vectors())
    assert {vector.requirement for _, vector in order.vectors} == {"shall"}
    last = order.vectors[-1][1].id
    order.note(faults[0], last)
    assert order.of(faults[0])[0][1].id == last
