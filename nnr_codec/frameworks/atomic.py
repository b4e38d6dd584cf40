# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Write a file beside its destination and rename it when everything went well.

    Whatever ends the block early, an interrupt or a full disk included, leaves the destination as it was and
    nothing beside it. A destination that is no regular file, such as a pipe, is written in place.

    Parameters
    ----------
    path : path-like
        Destination. A symbolic link is followed.
    overwrite : bool
        Replace an existing file.

    Yields
    ------
    file : binary file, seekable unless the destination is no regular file

    Raises
    ------
    FileExistsError
        The destination exists and ``overwrite`` is false; also when it came into being meanwhile.
    """
    target = os.path.realpath(os.fspath(path))
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with open(target, "wb") as in_place:
                yield in_place
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "Is a directory", os.fspath(path))
        if not overwrite:
            raise _exists(path)
    beside = os.path.join(
        os.path.dirname(target), f".{os.path.basename(target)[:200]}.{secrets.token_hex(4)}.part"
    )
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            if os.path.exists(target):
                shutil.copymode(target, beside)
            os.replace(beside, target)
        else:
            _rename_to_new(beside, target, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _rename_to_new(beside: str, target: str, path: str | os.PathLike[str]) -> None:
    try:
        # A link fails when the name exists, which a rename does not everywhere.
        os.link(beside, target)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:
        # No hard links on this file system: a gap of microseconds stays between the look and the rename.
        if os.path.exists(target):
            raise _exists(path) from None
        os.replace(beside, target)


def _exists(path: str | os.PathLike[str]) -> FileExistsError:
    return FileExistsError(17, "File exists", os.fspath(path))
