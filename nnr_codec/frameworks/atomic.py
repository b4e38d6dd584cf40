# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

#: Files and folders that must not outlive the process: what is written and has no name yet, and temporary copies.
_unfinished: set[str] = set()


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Write a file beside its destination and rename it when everything went well.

    Whatever ends the block early, an interrupt or a full disk included, leaves the destination as it was and
    nothing beside it. A destination that is no regular file, such as a pipe, gets the bytes when the block has ended.

    Parameters
    ----------
    path : path-like
        Destination. A symbolic link is followed.
    overwrite : bool
        Replace an existing file.

    Yields
    ------
    file : seekable binary file

    Raises
    ------
    FileExistsError
        The destination exists and ``overwrite`` is false; also when it came into being meanwhile.
    """
    target = os.path.realpath(os.fspath(path))
    with contextlib.suppress(FileNotFoundError):
        # By the path as it is: what a pipe's link points to is no path.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with tempfile.TemporaryFile() as spool:
                yield cast(BinaryIO, spool)
                _copy(cast(BinaryIO, spool), path)
            return
    _refuse_existing(target, path, overwrite)
    beside = _name_beside(target)
    _unfinished.add(beside)
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _give_name(beside, target, path, overwrite)
    except OSError as error:
        if error.filename in (beside, None):
            error.filename = os.fspath(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        _unfinished.discard(beside)


@contextlib.contextmanager
def replacing_all(
    paths: Sequence[str | os.PathLike[str]], *, overwrite: bool = False
) -> Iterator[Callable[[int], BinaryIO]]:
    """Write several files beside their destinations and rename all of them when everything went well.

    Parameters
    ----------
    paths : sequence of path-like
        Destinations. They get their names in this order: let the one that refers to the others be the last.
    overwrite : bool
        Replace existing files.

    Yields
    ------
    callable of int
        Creates the file of so many-th of `paths`; the caller closes it. Each is to be created once.

    Raises
    ------
    FileExistsError
        As `replacing`; a file that appears meanwhile may be noticed when those before it have their names.
    """
    targets = [os.path.realpath(os.fspath(path)) for path in paths]
    for target, path in zip(targets, paths, strict=True):
        _refuse_existing(target, path, overwrite)
    besides = [_name_beside(target) for target in targets]
    _unfinished.update(besides)
    placed: list[str] = []
    try:
        yield lambda index: open(besides[index], "xb")  # noqa: SIM115 - whoever writes the file closes it
        for beside in besides:
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
        for beside, target, path in zip(besides, targets, paths, strict=True):
            _give_name(beside, target, path, overwrite)
            placed.append(target)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in besides:
            error.filename = os.fspath(paths[besides.index(error.filename)])
        # What was overwritten is gone; what is only new would be half a set.
        for target in placed if not overwrite else ():
            os.unlink(target)
        raise
    finally:
        for beside in besides:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
        _unfinished.difference_update(besides)


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """Make a folder that goes with all in it when the block ends, or when the process is told to stop."""
    with tempfile.TemporaryDirectory(prefix="nnr-") as folder:
        _unfinished.add(folder)
        try:
            yield folder
        finally:
            _unfinished.discard(folder)


def discard_unfinished() -> None:
    """Remove what is written and not finished; for a process that is about to end at once."""
    for path in list(_unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)
        shutil.rmtree(path, ignore_errors=True)


def _copy(spool: BinaryIO, path: str | os.PathLike[str]) -> None:
    spool.seek(0)
    try:
        with open(path, "wb") as file:
            shutil.copyfileobj(spool, file, 1 << 20)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            error.filename = os.fspath(path)
        raise


def _refuse_existing(target: str, path: str | os.PathLike[str], overwrite: bool) -> None:
    if os.path.isdir(target):
        raise IsADirectoryError(21, "Is a directory", os.fspath(path))
    if os.path.exists(target) and not overwrite:
        raise _exists(path)


def _name_beside(target: str) -> str:
    name = f".{os.path.basename(target)[:200]}.{secrets.token_hex(4)}.part"
    return os.path.join(os.path.dirname(target), name)


def _give_name(beside: str, target: str, path: str | os.PathLike[str], overwrite: bool) -> None:
    if overwrite:
        if os.path.exists(target):
            shutil.copymode(target, beside)
        os.replace(beside, target)
    else:
        _rename_to_new(beside, target, path)


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
