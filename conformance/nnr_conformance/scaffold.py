# SPDX-License-Identifier: Apache-2.0
"""Command ``adapter new``: templates of adapters, which run unchanged and support no stream."""

from __future__ import annotations

import re
from pathlib import Path

from nnr_conformance.adapter import Adapter
from nnr_conformance.errors import UsageError
from nnr_conformance.json_schema import save_json

_COMMAND = """#!/bin/sh
# {name}: called with INPUT and OUTPUT; the contract is conformance/README.md.
# Exit 0: decoded, OUTPUT (.npz, .safetensors or .json) written. 1: rejected. 69: not supported.
# A rejection may say why in its last line on stderr: nnr-error: malformed bit=123
input=$1
output=$2

echo "nnr-error: unsupported no decoder is called yet for $input and $output" >&2
exit 69
"""

_JSONL = '''#!/usr/bin/env python3
"""{name}: a persistent child that speaks JSON lines; the contract is conformance/README.md."""

import json
import sys


def decode(inputs, outputs):
    """Decode the streams in order and write each one's output; return the reply."""
    return {{"type": "unsupported", "feature": "no decoder is called yet"}}


for line in sys.stdin:
    request = json.loads(line)
    if request["type"] == "hello":
        reply = {{"type": "hello", "protocol": "nnr-conformance/1", "name": "{name}", "version": "0"}}
    elif request["type"] == "decode":
        reply = {{"id": request["id"], **decode(request["inputs"], request["outputs"])}}
    print(json.dumps(reply), flush=True)
'''

_PYTHON = '''"""{name}: a Python callable; the contract is conformance/README.md."""

from nnr_conformance import Answer, Rejected, Unsupported  # noqa: F401 - used once decode is written


def decode(streams):
    """Decode the streams (bytes) of a vector in order; return a dict of arrays, or an Answer, for each.

    Raise Rejected(message, error_class="malformed", bit_offset=123) or Unsupported(feature).
    """
    raise Unsupported("no decoder is called yet")
'''


def scaffold(name: str, kind: str, folder: Path) -> list[Path]:
    """Write an adapter file with its program or module, and return their paths.

    Raises
    ------
    UsageError
        If the name is not a file name, or a file exists.
    """
    if re.fullmatch(r"[A-Za-z_][\w-]*", name) is None:
        raise UsageError(f"{name!r} does not name a file: letters, digits, - and _")
    module = f"{name.replace('-', '_')}_adapter"
    if kind == "command":
        program, text = folder / f"{module}.sh", _COMMAND
        adapter = Adapter(
            name=name, kind="command", command=("sh", f"./{program.name}", "{input}", "{output}")
        )
    elif kind == "jsonl":
        program, text = folder / f"{module}.py", _JSONL
        adapter = Adapter(name=name, kind="jsonl", command=("python3", f"./{program.name}"))
    elif kind == "python":
        program, text = folder / f"{module}.py", _PYTHON
        adapter = Adapter(name=name, kind="python", callable=f"{program.name}:decode")
    else:
        raise UsageError(f"unknown kind {kind!r}; known: command, jsonl, python")
    description = folder / f"{name}.adapter.json"
    for path in (program, description):
        if path.exists():
            raise UsageError(f"{path} exists")
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(text.format(name=name), encoding="utf-8")
    program.chmod(0o755)
    save_json(adapter, description)
    return [description, program]
