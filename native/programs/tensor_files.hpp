// SPDX-License-Identifier: Apache-2.0
// Tensors to safetensors and NPZ files.
#pragma once

#include <nnr.h>

#include <cstddef>
#include <cstdio>

// Tensors of one output file. A name that comes again replaces the tensor before.
class TensorFile {
 public:
  TensorFile() = default;
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;
  ~TensorFile();

  // Room for a tensor's content; null when memory is short.
  void* add(const nnr_tensor& tensor);
  // Turns the levels in `buffers` into values, and keeps them as tensors of their own.
  bool keep_levels(const nnr_decoder* decoder, void* const* buffers, std::size_t count);
  // Writes all tensors: an NPZ file where the path ends in .npz, else a safetensors file. The file appears when it is complete.
  bool write(const char* path) const;

 private:
  struct Entry {
    char* key;  // "value:NAME" or "level:NAME"
    std::size_t key_bytes;
    unsigned long long shape[64];
    std::size_t n_dimensions;
    std::size_t n_bytes;
    bool is_float;
    unsigned char* content;
  };

  unsigned char* add_entry(const char* prefix, const nnr_tensor& tensor, bool is_float);
  bool write_safetensors(std::FILE* file) const;
  bool write_npz(std::FILE* file) const;
  bool begin_npy(const Entry& entry, char* header, std::size_t& n_bytes) const;

  Entry* entries_ = nullptr;
  std::size_t count_ = 0;
  std::size_t room_ = 0;
};
