# SPDX-License-Identifier: Apache-2.0
"""Model files of the frameworks: one door to read them, one to write them.

Importing this package imports no framework; each is imported when a file of its kind is opened.
"""

from nnr_codec.codec.element_storage import tag_of
from nnr_codec.frameworks.atomic import replacing
from nnr_codec.frameworks.door import kind_of_path, open_model, save_model
from nnr_codec.frameworks.origin import Origin
from nnr_codec.frameworks.shard_writer import save_shards, shards_by_size
from nnr_codec.frameworks.source import ModelSource, TensorDescription

__all__ = [
    "ModelSource",
    "Origin",
    "TensorDescription",
    "kind_of_path",
    "open_model",
    "replacing",
    "save_model",
    "save_shards",
    "shards_by_size",
    "tag_of",
]
