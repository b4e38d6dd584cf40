# SPDX-License-Identifier: Apache-2.0
"""Bridge to NNCodec: JSON lines on stdin and stdout, arrays in NPZ files.

The Python of the peer environment runs this file, which imports nothing of this repository. Started as a program, it
writes a ``ready`` line and then one reply per request. ``conformance.peers.client.Peer`` is the client.
"""

from __future__ import annotations

import copy
import importlib.abc
import importlib.machinery
import json
import os
import sys
import time
import traceback
import types
from collections.abc import Callable
from typing import Any

# NNCodec imports these at load time for training and evaluation; coding does not use them.
STUBBED_PACKAGES = ("torch", "h5py")
STUBBED_SUBPACKAGES = ("nncodec.framework.use_case_init", "nncodec.framework.applications")


class _StubType(type):
    """A class whose attributes are stub classes too, for use as base class or annotation."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StubType(name, (), {})


class _StubModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _StubType(name, (), {})


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] in STUBBED_PACKAGES or name.startswith(STUBBED_SUBPACKAGES):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


sys.meta_path.insert(0, _StubFinder())

import numpy as np
from nncodec.extensions import deepCABAC
from nncodec.nnc import compression
from nncodec.nnc_core import approximator, coder
from nncodec.nnc_core.hdsp import hdsp_tool

# Options of NNCodec's compress() with the defaults of its nn.encode().
COMPRESS_DEFAULTS: dict[str, Any] = {
    "qp": -32,
    "qp_density": 2,
    "nonweight_qp": -75,
    "qp_per_tensor": None,
    "use_dq": True,
    "codebook_mode": 0,
    "scan_order": 0,
    "lambda_scale": 0,
    "param_opt": True,
    "cabac_unary_length_minus1": 10,
    "opt_qp": False,
    "bnf": False,
    "row_skipping": True,
    "tca": False,
    "pre_signalling": False,
    "block_id_and_param_type": None,
    "device_id": 0,
    "compress_differences": False,
    "int_quant_bw": False,
}


class _Stopwatch:
    """Sum of the time spent inside NNCodec's compiled coder, measured by wrapping its two classes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._originals = {"Decoder": deepCABAC.Decoder, "Encoder": deepCABAC.Encoder}

    def _wrap(self, original: type) -> type:
        watch = self

        class Timed:
            def __init__(self, *arguments: Any) -> None:
                self._inner = original(*arguments)

            def __getattr__(self, name: str) -> Callable[..., Any]:
                method = getattr(self._inner, name)

                def call(*arguments: Any) -> Any:
                    start, cpu_start = time.perf_counter(), time.process_time()
                    try:
                        return method(*arguments)
                    finally:
                        watch.seconds += time.perf_counter() - start
                        watch.cpu_seconds += time.process_time() - cpu_start

                return call

        return Timed

    def __enter__(self) -> _Stopwatch:
        for name, original in self._originals.items():
            setattr(deepCABAC, name, self._wrap(original))
        return self

    def __exit__(self, *_: object) -> None:
        for name, original in self._originals.items():
            setattr(deepCABAC, name, original)


class _State:
    """Incremental state of one direction, kept from one stream to the next."""

    def __init__(self, device_id: int = 0, history: bool = False) -> None:
        self.base: dict[str, Any] = {
            "parameters": {},
            "put_node_depth": {},
            "device_id": device_id,
            "parameter_id": {},
        }
        self.history = hdsp_tool.HdspTool(True) if history else None


class Bridge:
    """Commands of the bridge: each takes the fields of a request and returns those of the reply."""

    def __init__(self) -> None:
        self._decoder = _State()
        self._encoder = _State()

    def version(self, **_: Any) -> dict[str, Any]:
        """Report the versions in use."""
        from importlib.metadata import version

        return {
            "nncodec": version("nncodec"),
            "numpy": np.__version__,
            "python": sys.version.split()[0],
            "unary_length_minus1_default": COMPRESS_DEFAULTS["cabac_unary_length_minus1"],
        }

    def reset(
        self, direction: str = "both", device_id: int = 0, history: bool = False, **_: Any
    ) -> dict[str, Any]:
        """Reset the incremental state of one or both directions."""
        if direction in ("decode", "both"):
            self._decoder = _State(device_id, history)
        if direction in ("encode", "both"):
            self._encoder = _State(device_id, history)
        return {}

    def decode(
        self,
        stream: str,
        output: str,
        incremental: bool = False,
        levels: bool = True,
        reconstruct_lsa: bool = False,
        reconstruct_bnf: bool = False,
        recompose_factors: bool = False,
        **_: Any,
    ) -> dict[str, Any]:
        """Decode a stream file into an NPZ archive of ``value:``, ``level:`` and ``codebook:`` arrays."""
        with open(stream, "rb") as file:
            content = bytearray(file.read())
        snapshot: dict[str, Any] = {}
        original = coder.decode

        def observed(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            decoded = result[0] if isinstance(result, tuple) else result
            snapshot.update(copy.deepcopy(decoded))
            return result

        state = self._decoder if incremental else _State()
        recompose_params = approximator.recompose_params
        if levels:
            coder.decode = observed
        if not recompose_factors:
            approximator.recompose_params = lambda _, tensors: tensors
        try:
            values, model = compression.decompress(
                content,
                return_model_information=True,
                reconstruct_lsa=reconstruct_lsa,
                reconstruct_bnf=reconstruct_bnf,
                approx_param_base=state.base,
                update_base_param=incremental,
                hdsp_tool=state.history,
            )
        finally:
            coder.decode = original
            approximator.recompose_params = recompose_params
        if incremental and state.history is not None:
            state.history.add_data_to_hist(dict(values))
        arrays = {f"value:{name}": np.asarray(value) for name, value in values.items()}
        for kind, key in (("level", "parameters"), ("codebook", "codebooks")):
            arrays |= {f"{kind}:{name}": np.asarray(value) for name, value in snapshot.get(key, {}).items()}
        np.savez(output, **arrays)  # type: ignore[arg-type]  # array names never equal allow_pickle
        described = ("approx_method", "qp", "qp_density", "dq_flag", "scan_order", "codebook_zero_offsets")
        return {
            "names": list(values),
            "parameters": {key: _plain(snapshot[key]) for key in described if key in snapshot},
            "model": {key: _plain(value) for key, value in model.items()},
        }

    def encode(self, tensors: str, output: str, options: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Encode an NPZ archive of ``tensor:`` arrays into a stream file."""
        arrays = _load(tensors)
        start = time.process_time()
        stream = self._compress(arrays, dict(options))
        seconds = time.process_time() - start
        with open(output, "wb") as file:
            file.write(stream)
        return {"size_bytes": len(stream), "cpu_seconds": seconds}

    def _compress(self, arrays: dict[str, Any], options: dict[str, Any]) -> bytes:
        incremental = options.pop("incremental", False)
        header = options.pop("header", {})  # fields of the peer's header description
        factors = options.pop("factors", {})  # weight -> its shape; the arrays hold weight_G and weight_H
        state = self._encoder if incremental else _State(options.get("device_id", 0))
        unknown = set(options) - set(COMPRESS_DEFAULTS)
        if unknown:
            raise ValueError(f"unknown encoder options: {sorted(unknown)}")
        original = coder.encode
        original_init = approximator.init_approx_data
        blocks = options.pop("block_id_and_param_type") if factors else None
        coded: dict[str, Any] = {}

        def overridden(*arguments: Any, **keywords: Any) -> Any:
            keywords["enc_info"].update(header)
            coded.update(keywords["approx_data"]["parameters"])
            return original(*arguments, **keywords)

        def factored(parameters: Any, model_info: Any, **keywords: Any) -> Any:
            # NNCodec does not factorise: the factors are input arrays, and the model description names their product.
            for index, (name, shape) in enumerate(factors.items()):
                for entries in model_info.values():
                    if isinstance(entries, dict):
                        entries.pop(f"{name}_G", None)
                        entries.pop(f"{name}_H", None)
                model_info["parameter_type"][name] = "weight"
                model_info["parameter_dimensions"][name] = tuple(shape)
                model_info["parameter_index"][name] = len(parameters) + index
                model_info["block_identifier"][name] = None
            for key, entries in (blocks or {}).items():
                model_info[key].update(entries)
            return original_init(parameters, model_info, **keywords)

        coder.encode = overridden
        if factors:
            approximator.init_approx_data = factored
        try:
            stream = compression.compress(
                arrays,
                return_bitstream=True,
                verbose=False,
                approx_param_base=state.base if incremental else None,
                update_base_param=incremental,
                hdsp_tool=state.history,
                **(COMPRESS_DEFAULTS | options),
            )
        finally:
            coder.encode = original
            approximator.init_approx_data = original_init
        if incremental and state.history is not None:
            # NNCodec leaves the history to its caller; only the non-zero positions matter.
            state.history.add_data_to_hist(coded)
        return bytes(stream)

    def time_decode(self, stream: str, repeat: int = 3, **_: Any) -> dict[str, Any]:
        """Time the decoding of a stream file; reading the file is not timed."""
        with open(stream, "rb") as file:
            content = file.read()
        return _measure(lambda: compression.decompress(bytearray(content)), repeat)

    def time_encode(self, tensors: str, options: dict[str, Any], repeat: int = 3, **_: Any) -> dict[str, Any]:
        """Time the encoding of an archive; loading the arrays is not timed."""
        arrays = _load(tensors)
        return _measure(lambda: self._compress(dict(arrays), dict(options)), repeat)


def _measure(run: Callable[[], object], repeat: int) -> dict[str, Any]:
    """Time whole calls, then, in separate calls because wrapping costs time, the share inside compiled code."""
    api_seconds, api_cpu_seconds, native_seconds, native_cpu_seconds = [], [], [], []
    for _ in range(repeat):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        api_seconds.append(time.perf_counter() - start)
        api_cpu_seconds.append(time.process_time() - cpu_start)
    for _ in range(repeat):
        with _Stopwatch() as watch:
            run()
        native_seconds.append(watch.seconds)
        native_cpu_seconds.append(watch.cpu_seconds)
    return {
        "api_seconds": api_seconds,
        "api_cpu_seconds": api_cpu_seconds,
        "native_seconds": native_seconds,
        "native_cpu_seconds": native_cpu_seconds,
    }


def _load(path: str) -> dict[str, Any]:
    """Load an archive and strip the prefix that makes any tensor name legal in it."""
    with np.load(path, allow_pickle=False) as archive:
        return {name.removeprefix("tensor:"): archive[name] for name in archive.files}


def _plain(value: Any) -> Any:
    """Convert a value to plain JSON types; unknown types become their repr."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float | bool):
        return value if not isinstance(value, int) or isinstance(value, bool) else int(value)
    return repr(value)


def main() -> None:
    """Serve requests from stdin until it closes."""
    # NNCodec prints to stdout; redirect that to stderr, so that it does not mix with the replies.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    bridge = Bridge()
    commands = {
        name: getattr(bridge, name)
        for name in ("version", "reset", "decode", "encode", "time_decode", "time_encode")
    }
    replies.write(json.dumps({"ready": True, **bridge.version()}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"ok": True, **commands[request.pop("command")](**request)}
        except (Exception, SystemExit) as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            reply = {
                "ok": False,
                "error": type(error).__name__,
                "message": str(error),
                "location": f"{os.path.basename(frame.filename)}:{frame.name}",
            }
        replies.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
