/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes a stream and prints each tensor: decode FILE */
#include <nnr.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) return 2;
  fseek(file, 0, SEEK_END);
  const size_t size = (size_t)ftell(file);
  rewind(file);
  void* stream = malloc(size + 1);
  const size_t n_read = stream == NULL ? 0 : fread(stream, 1, size, file);
  fclose(file);

  nnr_model* model = NULL;
  nnr_error error;
  if (nnr_decode(stream, n_read, NULL, &model, &error) != NNR_OK) {
    fprintf(stderr, "%s at bit %llu: %s\n", nnr_status_name(error.status), (unsigned long long)error.bit_offset, error.text);
    return 1;
  }
  for (size_t i = 0; i < nnr_model_size(model); ++i) {
    const nnr_tensor* tensor = nnr_model_tensor(model, i);
    printf("%s %s %llu\n", tensor->name, tensor->type_name, (unsigned long long)tensor->n_elements);
  }
  nnr_model_free(model);
  free(stream);
  return 0;
}
