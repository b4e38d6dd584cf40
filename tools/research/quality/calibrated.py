# SPDX-License-Identifier: Apache-2.0
"""Model-aware codecs: the stages of ``nnr compress``, with given inputs or made ones."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import nnr_codec
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.files.compressing import RunnableModel, calibrate
from nnr_codec.rate_control.calibrated import Moments
from nnr_codec.rate_control.divergence_search import measure_ratios, step_groups
from nnr_codec.rate_control.search_report import Journal, Settings
from nnr_codec.rate_control.settings_coder import SettingsCoder
from nnr_codec.transform import ScaleMove
from tools.research.quality.codecs import Coded
from tools.research.quality.subject import Calibration, Tensors

# Binary logarithm of the steps at which the ratios of groups are measured, relative to the default, and number of groups.
_MEASURED_SCALE = 1.0
_MAX_GROUPS = 64


class CalibratedCodec:
    """Moments and ratios of steps as ``nnr compress`` measures them, and a sweep of the scale of all steps.

    Parameters
    ----------
    name : str
    calibration : callable
        Returns the calibration; called on first use.
    reparametrise : bool
        As in `compress_file`.
    options : mapping
        Options of EncoderConfig.
    """

    def __init__(
        self,
        name: str,
        calibration: Callable[[], Calibration],
        *,
        reparametrise: bool = False,
        options: Mapping[str, Any],
    ) -> None:
        self.name = name
        self._calibration = functools.cache(calibration)
        self._reparametrise, self._config = reparametrise, EncoderConfig(**options)

    def code(self, tensors: Tensors, octaves: float) -> Coded:
        """Encode and decode at a scale of the steps."""
        del tensors
        coder, settings = self._searched
        start = time.process_time()
        stream = coder.encode(replace(settings, scale=settings.scale + octaves))
        seconds = time.process_time() - start
        return Coded(len(stream), seconds, self._calibration().restored(nnr_codec.decode(stream)))

    @functools.cached_property
    def _searched(self) -> tuple[SettingsCoder, Settings]:
        """Encoder with importance and groups, and settings with the ratios of their steps."""
        calibration = self._calibration()
        tensors, importance = calibrate(
            calibration.tensors, calibration.model, reparametrise=self._reparametrise
        )
        coder = SettingsCoder(tensors, importance, self._config, {"threads": os.cpu_count()})
        coder.groups = step_groups(coder, _MAX_GROUPS)
        settings = Settings(_MEASURED_SCALE)
        ratios, _ = measure_ratios(coder, calibration.model.divergence, settings, Journal(None, ""))
        return coder, replace(settings, ratios=ratios)


class MeasuredOnce:
    """Model whose moments are measured once for all codecs.

    Parameters
    ----------
    model : RunnableModel
    names : collection of str
        Tensors to encode; moments of others are dropped.
    """

    def __init__(self, model: RunnableModel, names: Collection[str]) -> None:
        self._model, self._names = model, names
        self.divergence, self.replace = model.divergence, model.replace

    @functools.cached_property
    def _moments(self) -> list[tuple[str, Moments]]:
        return [(name, value) for name, value in self._model.moments() if name in self._names]

    def moments(self) -> Iterator[tuple[str, Moments]]:
        """Return the moments."""
        yield from self._moments

    def moves(self) -> list[ScaleMove]:
        """Return the moves of the model."""
        return self._model.moves()


def measured_once(calibration: Callable[[bool, int], Calibration]) -> Callable[[bool, int], Calibration]:
    """Return a function that makes each calibration once."""

    @functools.cache
    def cached(made: bool, seed: int) -> Calibration:
        result = calibration(made, seed)
        return replace(result, model=MeasuredOnce(result.model, result.tensors.keys()))

    return cached
