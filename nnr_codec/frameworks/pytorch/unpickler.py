# SPDX-License-Identifier: Apache-2.0
"""Restricted unpickler: it builds tensors and containers, and executes nothing of a file.

Python's own implementation of the opcodes serves as the base because its memo is a dictionary: the C one
allocates as many entries as a damaged file's largest index.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

from nnr_codec.frameworks.pytorch import rebuild
from nnr_codec.frameworks.pytorch.values import (
    STORAGE_TYPES,
    TORCH_TYPES,
    Constant,
    DType,
    NumpyArray,
    NumpyType,
    Placeholder,
    Storage,
    StorageType,
)

_CONSTANTS = {
    *("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "_mkldnn"),
    *("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"),
    *("per_channel_affine_float_qparams", "contiguous_format", "preserve_format", "channels_last"),
}
_MAX_CLASSES = 100_000
_FREE_COPIES = 1 << 20
#: Handlers of opcodes, which type stubs omit.
_OPCODES: Any = pickle._Unpickler


def _as_dict(*arguments: Any) -> dict[Any, Any]:
    entries = arguments[-1] if arguments else None
    if isinstance(entries, list | tuple):
        return {_atomic(key): value for key, value in entries}
    return dict(entries) if isinstance(entries, dict) else {}


def _as_ordered(*arguments: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(_as_dict(*arguments))


def _as_sequence(items: Any = (), *_: Any) -> list[Any] | tuple[Any, ...]:
    return items if isinstance(items, list | tuple) else ()


def _as_set(items: Any = (), *_: Any) -> set[Any]:
    return {_atomic(item) for item in items} if isinstance(items, list | tuple) else set()


def _encoded(text: Any = "", encoding: Any = "latin-1", *_: Any) -> bytes:
    # Protocol 2 has no bytes: it encodes text instead.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in an unknown encoding")
    return text.encode("latin-1")


def _numpy_array(*_: Any) -> NumpyArray:
    return NumpyArray()


def _layout(name: Any = "", *_: Any) -> Constant:
    return Constant(str(name).removeprefix("torch."))


def _identity(value: Any = None, *_: Any) -> Any:
    return value


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _as_ordered,
    ("collections", "defaultdict"): _as_dict,
    ("collections", "Counter"): _as_dict,
    ("torch", "Size"): _as_sequence,
    ("torch.serialization", "_get_layout"): _layout,
    ("_codecs", "encode"): _encoded,
    **{
        ("torch.jit._pickle", f"build_{kind}list"): _as_sequence
        for kind in ("int", "tensor", "double", "bool")
    },
    ("torch.jit._pickle", "restore_type_tag"): _identity,
    **{(module, "dict"): _as_dict for module in ("builtins", "__builtin__")},
    **{(module, "list"): _as_sequence for module in ("builtins", "__builtin__")},
    **{(module, "tuple"): _as_sequence for module in ("builtins", "__builtin__")},
    **{(module, "set"): _as_set for module in ("builtins", "__builtin__")},
    **{(module, "frozenset"): _as_set for module in ("builtins", "__builtin__")},
    **{(f"{core}.multiarray", "_reconstruct"): _numpy_array for core in ("numpy.core", "numpy._core")},
    ("numpy", "dtype"): NumpyType,
    ("numpy", "ndarray"): NumpyArray,
    **rebuild.FUNCTIONS,
}


class RestrictedUnpickler(pickle._Unpickler):
    """Unpickler of one pickle.

    Parameters
    ----------
    file : binary file
        In memory, so that no length in it allocates more than the file holds.
    size : int
        Bytes of the file.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(_OPCODES.dispatch)
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[Any], None]

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self._size = size
        #: Bytes or members that functions may still return; honest files stay far below.
        self._remaining = 64 * size + _FREE_COPIES
        self._classes: dict[tuple[str, str], type[Placeholder]] = {}
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return a safe function, a constant of torch, or a class of placeholders."""
        function = _FUNCTIONS.get((module, name))
        if function is not None:
            return function
        if module in ("torch", "torch.cuda", "torch.storage"):
            if name in STORAGE_TYPES:
                return StorageType(STORAGE_TYPES[name])
            if name in TORCH_TYPES:
                return DType(name)
            if name in _CONSTANTS:
                return Constant(name)
        known = self._classes.get((module, name))
        if known is None:
            if len(self._classes) >= _MAX_CLASSES:
                raise pickle.UnpicklingError("the pickle refers to too many classes")
            known = type("Placeholder", (Placeholder,), {"type_name": f"{module}.{name}"})
            self._classes[module, name] = known
        return known

    def get_extension(self, code: int) -> None:
        """Refuse codes of a registry that only the writer's process had."""
        raise pickle.UnpicklingError(f"extension code {code}")

    def persistent_load(self, identifier: Any) -> Any:
        """Return the storage that an identifier names, or a legacy file's class beside its source."""
        if identifier[0] == "module":
            return identifier[1]
        kind, storage_type, key, _, n_elements, *view = identifier
        if kind not in ("storage", b"storage") or not isinstance(storage_type, StorageType):
            raise pickle.UnpicklingError("an unknown kind of storage")
        if not isinstance(n_elements, int) or not 0 <= n_elements < 1 << 56:
            raise pickle.UnpicklingError("a storage's size is no count")
        itemsize = TORCH_TYPES[storage_type.dtype][1] if storage_type.dtype else 1
        n_bytes = n_elements * itemsize
        storage = self.storages.setdefault(str(key), Storage(str(key), storage_type.dtype, n_bytes))
        if view and view[0] is not None:
            # Legacy files from before 0.4: a storage that is a view of another.
            _, begin, length = view[0]
            if not (isinstance(begin, int) and isinstance(length, int) and begin >= 0 and length >= 0):
                raise pickle.UnpicklingError("a view's place is no count")
            return Storage(str(key), storage_type.dtype, length * itemsize, begin * itemsize)
        return storage

    def load_bytearray8(self) -> None:
        """Read an array of bytes, whose length must not exceed the file's."""
        length = int.from_bytes(self.read(8), "little")
        if length > self._size:
            raise pickle.UnpicklingError("an array of bytes is longer than the file")
        self.append(bytearray(self.read(length)))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def load_setitem(self) -> None:
        """Set an entry whose key hashes in constant time."""
        _atomic(self.stack[-2])
        _OPCODES.load_setitem(self)

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        """Set entries whose keys hash in constant time."""
        for key in self.stack[::2]:
            _atomic(key)
        _OPCODES.load_setitems(self)

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_additems(self) -> None:
        """Add members that hash in constant time."""
        for item in self.stack:
            _atomic(item)
        _OPCODES.load_additems(self)

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_frozenset(self) -> None:
        """Make a set of members that hash in constant time."""
        for item in self.stack:
            _atomic(item)
        _OPCODES.load_frozenset(self)

    dispatch[pickle.FROZENSET[0]] = load_frozenset

    def load_dict(self) -> None:
        """Make a dictionary whose keys hash in constant time."""
        for key in self.stack[::2]:
            _atomic(key)
        _OPCODES.load_dict(self)

    dispatch[pickle.DICT[0]] = load_dict

    def load_newobj(self) -> None:
        """Make an instance without its initialiser."""
        self.load_reduce()

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_newobj_ex(self) -> None:
        """Make an instance without its initialiser, from named arguments too."""
        named = self.stack.pop()
        arguments = self.stack.pop()
        cls = self.stack.pop()
        self.append(cls(*arguments, **named) if _is_placeholder_class(cls) else cls(*arguments))

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def load_build(self) -> None:
        """Set the state of placeholders and arrays; containers have none that matters here."""
        state = self.stack.pop()
        instance = self.stack[-1]
        if isinstance(instance, Placeholder | NumpyArray | NumpyType):
            instance.__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_reduce(self) -> None:
        """Call a function; the sizes of all results are bounded by the file's."""
        _OPCODES.load_reduce(self)
        value = self.stack[-1]
        if isinstance(value, bytes | dict | list | tuple | set):
            self._remaining -= len(value)
            if self._remaining < 0:
                raise pickle.UnpicklingError("copies of copies")

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_inst(self) -> None:
        """Refuse protocol 0's instances, which no tensor file has."""
        raise pickle.UnpicklingError("an instance of protocol 0")

    dispatch[pickle.INST[0]] = load_inst
    dispatch[pickle.OBJ[0]] = load_inst


def unpickle(content: bytes) -> tuple[Any, dict[str, Storage]]:
    """Return a pickle's root and the storages it refers to.

    Raises
    ------
    Exception
        Of any class: damaged pickles fail in every way.
    """
    unpickler = RestrictedUnpickler(io.BytesIO(content), len(content))
    return unpickler.load(), unpickler.storages


def _is_placeholder_class(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Placeholder)


def _atomic(key: Any) -> Any:
    """Return a key unless it is nested: a tuple of shared tuples takes exponential time to hash."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, tuple | frozenset) for part in parts):
        raise pickle.UnpicklingError("a nested key")
    return key
