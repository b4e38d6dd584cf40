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

  // Room for a tensor's values; null when memory is short.
  void* add(const nnr_tensor& tensor, const char* prefix = "");
  // Turns the levels in `buffers` into values, and keeps them as tensors with names of their own, "level:NAME".
  bool keep_levels(const nnr_decoder* decoder, void* const* buffers, std::size_t count);
  // Writes all tensors: an NPZ file where the path ends in .npz, else a safetensors file. The file appears when it is complete.
  bool write(const char* path) const;

 private:
  struct Entry {
    char* key;
    std::size_t key_bytes;
    unsigned long long shape[64];
    std::size_t n_dimensions;
    std::size_t n_bytes;
    char dtype[12];             // of safetensors
    char descr[4];              // of NumPy, without the byte order
    std::size_t element_bytes;  // 1 for opaque bytes
    unsigned char* content;
  };

  unsigned char* add_entry(const char* prefix, const nnr_tensor& tensor, nnr_type type);
  bool write_safetensors(std::FILE* file) const;
  bool write_npz(std::FILE* file) const;
  bool begin_npy(const Entry& entry, char* header, std::size_t& n_bytes) const;

  Entry* entries_ = nullptr;
  std::size_t count_ = 0;
  std::size_t room_ = 0;
};
