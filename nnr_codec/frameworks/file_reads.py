# SPDX-License-Identifier: Apache-2.0
"""Complete reads from open files, and errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Give errors of the operating system the name of the file, which those of an open file lack.

    Parameters
    ----------
    path : str
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def read_fully(file: Any, view: memoryview) -> int:
    """Fill a buffer from where the file stands; unbuffered reads stop short at about 2 GB.

    Parameters
    ----------
    file : binary file with ``readinto``
    view : memoryview of bytes, writable

    Returns
    -------
    int
        Bytes read: fewer than the buffer holds only where the file ends.
    """
    done = 0
    while done < len(view):
        n_read = file.readinto(view[done:])
        if not n_read:
            break
        done += n_read
    return done
