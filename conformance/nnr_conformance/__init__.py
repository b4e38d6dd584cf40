# SPDX-License-Identifier: Apache-2.0
"""Conformance checker for decoders of ISO/IEC 15938-17 (NNC) bitstreams.

The checker does not parse the format. It compares a decoder's results with the expectations of the suites.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnr_conformance.version import __version__

if TYPE_CHECKING:
    from nnr_conformance.adapter import Adapter, resolve_adapter
    from nnr_conformance.answer import Answer, Rejected, Report, Unsupported
    from nnr_conformance.errors import ConformanceError
    from nnr_conformance.judge import Judgement, judge
    from nnr_conformance.limits import Limits
    from nnr_conformance.result import Log, Result
    from nnr_conformance.runner import Plan, run
    from nnr_conformance.selection import Selection
    from nnr_conformance.suite import Suite, find_suites
    from nnr_conformance.verdict import Verdict

# Lazy imports: every Python decoder under test starts with this package and needs little of it.
_HOMES = {
    "Adapter": "adapter",
    "Answer": "answer",
    "ConformanceError": "errors",
    "Judgement": "judge",
    "Limits": "limits",
    "Log": "result",
    "Plan": "runner",
    "Rejected": "answer",
    "Report": "answer",
    "Result": "result",
    "Selection": "selection",
    "Suite": "suite",
    "Unsupported": "answer",
    "Verdict": "verdict",
    "find_suites": "suite",
    "judge": "judge",
    "resolve_adapter": "adapter",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"nnr_conformance.{_HOMES[name]}"), name)


__all__ = [
    "Adapter",
    "Answer",
    "ConformanceError",
    "Judgement",
    "Limits",
    "Log",
    "Plan",
    "Rejected",
    "Report",
    "Result",
    "Selection",
    "Suite",
    "Unsupported",
    "Verdict",
    "__version__",
    "find_suites",
    "judge",
    "resolve_adapter",
    "run",
]
