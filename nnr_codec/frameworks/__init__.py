# SPDX-License-Identifier: Apache-2.0
"""Model files of the frameworks: opening, saving, and the properties a stream keeps of them.

Importing this package imports no framework; a reader or writer imports the one it needs.
"""

from nnr_codec.codec.element_storage import tag_of
from nnr_codec.frameworks.atomic import replacing
from nnr_codec.frameworks.file_kinds import kind_of_content, kind_of_path
from nnr_codec.frameworks.folder import save_folder
from nnr_codec.frameworks.model_file import ModelFile, TensorDescription
from nnr_codec.frameworks.model_files import open_model, save_model
from nnr_codec.frameworks.origin import Origin
from nnr_codec.frameworks.shard_writer import save_shards, shards_by_size

__all__ = [
    "ModelFile",
    "Origin",
    "TensorDescription",
    "kind_of_content",
    "kind_of_path",
    "open_model",
    "replacing",
    "save_folder",
    "save_model",
    "save_shards",
    "shards_by_size",
    "tag_of",
]
