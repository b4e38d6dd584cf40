# SPDX-License-Identifier: Apache-2.0
"""Child process of `hdf5_process`: structure and elements of an HDF5 file.

The structure is a JSON object with ``groups`` (path to attributes), ``datasets`` (path to type, shape and
attributes, in the file's order), ``texts`` (datasets of strings of any length, with their values) and
``left_out`` (paths that no tensor file has: links, references, data in other files). An attribute is a type, a
shape, and its elements: base 64, or strings.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nnr_codec.frameworks.hdf5_process import limit_memory, limit_time, send, send_error

_MAX_OBJECTS = 1_000_000
_MAX_TEXT_BYTES = 1 << 26
#: Deflate's largest ratio; more elements than that for the bytes stored are fill values.
_MAX_RATIO = 1032
_FREE_BYTES = 1 << 20


def main() -> None:
    """Serve requests until the standard input ends."""
    path = sys.argv[1]
    limit_memory(os.path.getsize(path))
    try:
        import h5py
    except ImportError:
        send_error(sys.stdout.buffer, "HDF5 files need h5py: pip install 'nnr_codec[keras]'")
        return
    file_bytes = os.path.getsize(path)
    limit_time(file_bytes)
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        send_error(sys.stdout.buffer, f"not an HDF5 file, or damaged: {error}")
        return
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            limit_time(file_bytes)
            if "structure" in request:
                send(sys.stdout.buffer, json.dumps(structure(h5py, file)).encode())
            else:
                dataset = file[request["read"]]
                limit_time(file_bytes + dataset.size * dataset.dtype.itemsize)
                send(sys.stdout.buffer, elements(dataset))
        # h5py turns the library's errors into any of these.
        except Exception as error:
            send_error(sys.stdout.buffer, f"the HDF5 file is damaged: {error}")


def elements(dataset: Any) -> bytes:
    """Return a dataset's elements in C order, little-endian."""
    array = np.asarray(dataset[()])
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def structure(h5py: Any, file: Any) -> dict[str, Any]:
    """Return a file's groups, attributes and datasets."""
    groups: dict[str, Any] = {"": _attributes(h5py, file)}
    result: dict[str, Any] = {"groups": groups, "datasets": {}, "texts": {}, "left_out": []}
    pending = [("", file)]
    seen = {_address(h5py, file)}
    while pending:
        prefix, group = pending.pop()
        for name in group:
            path = f"{prefix}{name}"
            if len(groups) + len(result["datasets"]) > _MAX_OBJECTS:
                raise ValueError("too many objects")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                result["left_out"].append(path)
                continue
            member = group[name]
            if isinstance(member, h5py.Group):
                # Hard links can make a group its own member.
                address = _address(h5py, member)
                if address in seen:
                    result["left_out"].append(path)
                    continue
                seen.add(address)
                groups[path] = _attributes(h5py, member)
                pending.append((f"{path}/", member))
            elif isinstance(member, h5py.Dataset):
                _add_dataset(h5py, result, path, member)
            else:
                result["left_out"].append(path)
    return result


def _address(h5py: Any, member: Any) -> int:
    return int(h5py.h5o.get_info(member.id).addr)


def _add_dataset(h5py: Any, result: dict[str, Any], path: str, dataset: Any) -> None:
    if dataset.is_virtual or dataset.external or dataset.shape is None:
        result["left_out"].append(path)
        return
    dtype, n_bytes = dataset.dtype, dataset.size * dataset.dtype.itemsize
    if n_bytes > _MAX_RATIO * dataset.id.get_storage_size() + _FREE_BYTES:
        raise ValueError(f"{path} has more elements than the file stores")
    attributes = _attributes(h5py, dataset)
    strings = h5py.check_string_dtype(dtype)
    if strings is not None and dtype.hasobject:
        value = _packed(h5py, dataset[()])
        result["texts"][path] = {"value": value, "encoding": strings.encoding, "attributes": attributes}
    elif dtype.hasobject or h5py.check_opaque_dtype(dtype):
        result["left_out"].append(path)
    else:
        descr: Any = npy.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
        result["datasets"][path] = {
            "dtype": descr if isinstance(descr, str) else repr(descr),
            "shape": list(dataset.shape),
            "attributes": attributes,
        }


def _attributes(h5py: Any, member: Any) -> dict[str, Any]:
    result = {}
    for name in member.attrs:
        value = _packed(h5py, member.attrs[name])
        if value is not None:
            result[name] = value
    return result


def _packed(h5py: Any, value: Any) -> dict[str, Any] | None:
    """Return a value as JSON; None for references and empty values."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, str):
        return {"dtype": "str", "shape": [], "strings": [value]}
    if isinstance(value, bytes):
        return {"dtype": "bytes", "shape": [], "strings": [value.decode("latin-1")]}
    array = np.asarray(value)
    if array.dtype.hasobject:
        items = array.reshape(-1).tolist()
        if not all(isinstance(item, str | bytes) for item in items):
            return None
        if sum(map(len, items)) > _MAX_TEXT_BYTES:
            raise ValueError("strings beyond the limit")
        texts = [item if isinstance(item, str) else item.decode("latin-1") for item in items]
        kind = "bytes" if items and all(isinstance(item, bytes) for item in items) else "str"
        return {"dtype": kind, "shape": list(array.shape), "strings": texts}
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    descr: Any = npy.dtype_to_descr(little.dtype)
    if not isinstance(descr, str):
        return None
    content = base64.b64encode(little.tobytes()).decode()
    return {"dtype": descr, "shape": list(array.shape), "base64": content}
