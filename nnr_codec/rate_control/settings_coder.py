# SPDX-License-Identifier: Apache-2.0
"""Encoding of a model at the settings of a quality search, with a cache of coded tensors."""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnr_codec.codec.decode.decoder import decode
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.encode.encoder import encode
from nnr_codec.codec.encode.importance import Importance, mean_weight
from nnr_codec.codec.encode.quantize.steps import nearest_qp
from nnr_codec.codec.encode.quantize.tensor_roles import is_vector
from nnr_codec.codec.encode.tensor_input import TensorsInMemory
from nnr_codec.quant import mse_per_step
from nnr_codec.rate_control.allocation import SEARCH_DENSITY, shapes_only
from nnr_codec.rate_control.search_report import Settings

# Coded versions kept per tensor: those of the current settings and of a sensitivity probe.
_CACHED_VERSIONS = 2


class _CodedTensor(NamedTuple):
    """One tensor, coded and decoded at one QP and lambda scale."""

    key: tuple[int, float]
    size_bytes: int
    decoded: NDArray[Any]


class SettingsCoder:
    """Encoder of one model at varying `Settings`.

    Parameters
    ----------
    tensors : mapping of str to array
    importance : mapping of str to float, array or Curvature
        Weights of squared errors, on one scale for all tensors.
    config : EncoderConfig
        Configuration without steps.
    source : mapping
        Arguments of `encode` that describe the source: ``kind``, ``metadata``, ``dtypes``.

    Attributes
    ----------
    tensors : dict of str to array
    base_steps : dict of str to float
        Step of each quantised tensor at scale 0.
    groups : list of tuple of str
        Names of the tensors of each group, in the order of `Settings.ratios`.
    """

    def __init__(
        self,
        tensors: Mapping[str, ArrayLike],
        importance: Mapping[str, Importance],
        config: EncoderConfig,
        source: Mapping[str, Any],
    ) -> None:
        self.tensors = TensorsInMemory(tensors, source.get("dtypes"))
        self._importance = dict(importance)
        self._config, self._source = config, source
        self.base_steps = self._compute_base_steps()
        self.groups: list[tuple[str, ...]] = []
        self._cache: dict[str, list[_CodedTensor]] = {}

    def encode(self, settings: Settings) -> bytes:
        """Encode the whole model."""
        importance = shapes_only(self._importance)
        return encode(self.tensors, self._configured(settings), importance=importance, **self._source)

    def decoded(self, settings: Settings) -> tuple[int, dict[str, NDArray[Any]]]:
        """Return the size of the stream in bytes and the decoded tensors; only tensors with new settings are encoded."""
        qps = self._qps(settings)
        # Types and shapes are known here. Describing them once per tensor would count in its size.
        config = replace(self._configured(settings), describe_source=False, checksum=False)
        header_bytes = len(encode({}, config))
        names = list(self.tensors)
        with ThreadPoolExecutor(self._source.get("threads") or os.cpu_count() or 1) as pool:
            coded = list(
                pool.map(
                    lambda name: self._coded(
                        name, qps.get(name), settings.lambda_scale, config, header_bytes
                    ),
                    names,
                )
            )
        size_bytes = header_bytes + sum(tensor.size_bytes for tensor in coded)
        return size_bytes, {name: tensor.decoded for name, tensor in zip(names, coded, strict=True)}

    def fingerprint(self) -> str:
        """Return a digest of the model and of all that determines the meaning of settings."""
        digest = hashlib.sha256(repr((self._config, sorted(self.base_steps.items()))).encode())
        for name, array in self.tensors.items():
            digest.update(f"{name}{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _coded(
        self, name: str, qp: int | None, lambda_scale: float, config: EncoderConfig, header_bytes: int
    ) -> _CodedTensor:
        key = (qp or 0, lambda_scale)
        versions = self._cache.setdefault(name, [])
        coded = next((version for version in versions if version.key == key), None)
        if coded is not None:
            versions.remove(coded)
        else:
            array = self.tensors[name]
            qp_by_name = () if qp is None else ((glob.escape(name), qp),)
            shapes = shapes_only(self._importance)
            importance = {name: shapes[name]} if name in shapes else None
            stream = encode(
                {name: array}, replace(config, qp_by_name=qp_by_name), importance=importance, threads=1
            )
            values = decode(stream)[name] if array.size else array
            coded = _CodedTensor(
                key, len(stream) - header_bytes, values.astype(array.dtype).reshape(array.shape)
            )
        versions.append(coded)
        del versions[:-_CACHED_VERSIONS]
        return coded

    def _compute_base_steps(self) -> dict[str, float]:
        """Return steps of the default relative error or, where importance is known, of equal weighted squared error."""
        root_mse = math.sqrt(mse_per_step(self._config.dependent))
        default_steps: dict[str, float] = {}
        weights: dict[str, float] = {}
        for name, array in self.tensors.items():
            if array.dtype.kind != "f" or array.size == 0 or not np.isfinite(array).all():
                continue
            rms = math.sqrt(float(np.mean(np.square(array, dtype=np.float64))))
            if rms == 0:
                continue
            vector = is_vector(array.shape)
            error = self._config.relative_error_1d if vector else self._config.relative_error
            default_steps[name] = rms * error / root_mse
            importance = self._importance.get(name)
            weight = 0.0 if importance is None else mean_weight(importance)
            if weight > 0:
                weights[name] = weight
        if not weights:
            return default_steps
        # The mean rate of the tensors with an importance stays that of the default steps.
        sizes = {name: self.tensors[name].size for name in weights}
        logs = sum(n * math.log2(default_steps[name] * math.sqrt(weights[name])) for name, n in sizes.items())
        weighted_step = 2.0 ** (logs / sum(sizes.values()))
        return {
            name: weighted_step / math.sqrt(weights[name]) if name in weights else step
            for name, step in default_steps.items()
        }

    def _configured(self, settings: Settings) -> EncoderConfig:
        qp_by_name = tuple((glob.escape(name), qp) for name, qp in self._qps(settings).items())
        return replace(
            self._config,
            qp_density=SEARCH_DENSITY,
            qp_by_name=qp_by_name,
            lambda_scale=settings.lambda_scale * self._config.lambda_scale,
        )

    def _qps(self, settings: Settings) -> dict[str, int]:
        shift = dict.fromkeys(self.base_steps, 0.0)
        for group, ratio in zip(self.groups, settings.ratios, strict=False):
            shift.update(dict.fromkeys(group, ratio))
        return {
            name: nearest_qp(step * 2.0 ** (settings.scale + shift[name]), SEARCH_DENSITY)
            for name, step in self.base_steps.items()
        }
