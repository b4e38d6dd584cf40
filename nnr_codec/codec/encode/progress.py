# SPDX-License-Identifier: Apache-2.0
"""Progress of an encoding, between tensors and inside them, and its early end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType

from nnr_codec.entropy import Observer

#: ``(name, n_elements, n_stream_bytes)``: elements done since the last call, and stream bytes written so far.
Progress = Callable[[str, int, int], None]
# Largest share of a tensor that is reported before the tensor is finished.
_MOST = 0.95


class EncodingProgress:
    """Context manager of an encoding in this thread: while it is entered, native work reports progress and obeys Ctrl-C.

    Inside a tensor the number of elements is an estimate; its sum is exact when the tensor is finished.

    Parameters
    ----------
    report : Progress, optional
    passes : float
        Expected number of native passes over a tensor.
    """

    def __init__(self, report: Progress | None, passes: float) -> None:
        self._report = report
        self._passes = passes
        self._tensors: deque[tuple[str, int]] = deque()  # begun and not finished, in order
        self._n_reported = 0  # elements of the first of them
        self._n_native = 0  # weights that passed a native stage before the first of them began
        self._n_native_now = 0
        self._n_stream_bytes = 0
        self.observer = Observer()

    def __enter__(self) -> EncodingProgress:
        self.observer.attach(None if self._report is None else self._advanced)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.observer.detach()

    def begun(self, name: str, n_elements: int) -> None:
        """Note that a tensor is read. Tensors finish in the order in which they are read."""
        self._tensors.append((name, n_elements))

    def finished(self, n_stream_bytes: int) -> None:
        """Report the rest of the first unfinished tensor."""
        name, n_elements = self._tensors.popleft()
        rest, self._n_reported = n_elements - self._n_reported, 0
        self._n_native, self._n_stream_bytes = self._n_native_now, n_stream_bytes
        if self._report is not None:
            self._report(name, rest, n_stream_bytes)

    def _advanced(self, n_native: int) -> None:
        """Report a part of the first unfinished tensor, as native passes have advanced."""
        self._n_native_now = n_native
        if not self._tensors or self._report is None:
            return
        name, n_elements = self._tensors[0]
        # Tensors in flight share the native passes.
        in_flight = sum(n for _, n in self._tensors)
        share = (n_native - self._n_native) / (self._passes * max(in_flight, 1))
        done = int(min(share, _MOST) * n_elements)
        if done > self._n_reported:
            advanced, self._n_reported = done - self._n_reported, done
            self._report(name, advanced, self._n_stream_bytes)
