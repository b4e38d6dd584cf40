# SPDX-License-Identifier: Apache-2.0
"""Files that travel with a model: configuration, tokenizer, and the formats' own headers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

from nnr_codec.errors import NotEncodable

#: Largest single attachment. The largest published tokenizer files have about 40 MB.
MAX_ATTACHMENT_BYTES = 1 << 27


class Attachments(Mapping[str, bytes]):
    """A mapping of file names to contents, each read on access.

    Parameters
    ----------
    readers : mapping of str to callable, optional
        Returns the content of the name's file.
    """

    def __init__(self, readers: Mapping[str, Callable[[], bytes]] | None = None) -> None:
        self._readers = dict(readers or {})

    def __getitem__(self, name: str) -> bytes:
        return self._readers[name]()

    def joined(self, others: Attachments) -> Attachments:
        """Return these attachments and others; a name in both keeps the others' content."""
        return Attachments({**self._readers, **others._readers})

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def __contains__(self, name: object) -> bool:
        return name in self._readers


def read_attachment(path: str) -> bytes:
    """Read a file of at most `MAX_ATTACHMENT_BYTES`.

    Raises
    ------
    NotEncodable
        The file is larger.
    """
    with open(path, "rb") as file:
        content = file.read(MAX_ATTACHMENT_BYTES + 1)
    if len(content) > MAX_ATTACHMENT_BYTES:
        raise NotEncodable(f"attached files have at most {MAX_ATTACHMENT_BYTES} bytes", path=path)
    return content


def checked_file_name(name: str) -> str:
    r"""Return a name that stays within its folder on every system.

    Raises
    ------
    NotEncodable
        The name has a folder, a drive, or a control character, or is reserved.

    >>> checked_file_name("tokenizer.json")
    'tokenizer.json'
    """
    stem = name.split(".")[0].upper()
    reserved = stem in {"CON", "PRN", "AUX", "NUL"} or (stem[:3] in ("COM", "LPT") and stem[3:].isdigit())
    if (
        name in ("", ".", "..")
        or len(name.encode("utf-8", "surrogatepass")) > 255
        or any(character in '/\\:*?"<>|' or ord(character) < 32 for character in name)
        or name != name.rstrip(". ")
        or reserved
    ):
        raise NotEncodable("an attachment's name is a plain file name", path=name or "attachments")
    return name


def attachments_beside(folder: str, names: list[str]) -> Attachments:
    """Return attachments that read files of a folder."""

    def reader(path: str) -> Callable[[], bytes]:
        return lambda: read_attachment(path)

    return Attachments({name: reader(os.path.join(folder, name)) for name in names})
