#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An adapter written from conformance/README.md alone: adapter.sh INPUT OUTPUT, with MODEL_FOLDER, MODEL_PYTHON and
# TO_SAFETENSORS in the environment. The decoder prints what it decodes; its exit codes are those of the contract already.
here=$(pwd)
(cd "$MODEL_FOLDER" && "$MODEL_PYTHON" -m spec.model --output "$here/values" "$1") >tensors.txt 2>errors.txt
code=$?
if [ $code -eq 1 ]; then
  sed -n 's/.*"verdict": "\([a-z]*\)".*"bit_offset": \([0-9]*\).*/nnr-error: \1 bit=\2/p' errors.txt >&2
  exit 1
fi
[ $code -eq 0 ] || exit $code
"$TO_SAFETENSORS" values "$2" <tensors.txt || exit 70
