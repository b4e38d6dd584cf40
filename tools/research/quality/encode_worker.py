# SPDX-License-Identifier: Apache-2.0
"""Encode and decode tensors with the nnr_codec of the interpreter that runs this file.

Arguments: an NPZ of tensors, an NPZ to write, and the options of EncoderConfig in JSON. Prints size and processor time in JSON.
"""

import json
import sys
import time

import numpy as np

import nnr_codec


def main() -> None:
    """Run the command line."""
    source, target, options = sys.argv[1:]
    with np.load(source) as archive:
        tensors = dict(archive)
    start = time.process_time()
    stream = nnr_codec.encode(tensors, nnr_codec.EncoderConfig(**json.loads(options)))
    seconds = time.process_time() - start
    np.savez(target, **nnr_codec.decode(stream))
    print(json.dumps({"size_bytes": len(stream), "seconds": seconds}))


main()
