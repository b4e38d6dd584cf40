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
  // Whether a path is that of an NPZ file; any other is that of a safetensors file.
  static bool is_npz(const char* path);
  // False for a path of a safetensors file if a tensor has the name that this format reserves.
  bool can_write(const char* path) const;
  // Writes all tensors. The file appears when it is complete.
  // A path that is no regular file, such as a pipe or a device, gets the bytes as they are.
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
  // Room for one more entry, and for its place by name. False when memory is short.
  bool grow();
  // The slot of a key: that of its entry, or a free one.
  std::size_t* slot_of(const char* key, std::size_t n_bytes) const;
  // Writes the content of the file at `path` to a file that can be sought in.
  bool write_content(std::FILE* file, const char* path) const;
  bool write_safetensors(std::FILE* file) const;
  bool write_npz(std::FILE* file) const;
  bool begin_npy(const Entry& entry, char* header, std::size_t& n_bytes) const;

  Entry* entries_ = nullptr;
  std::size_t count_ = 0;
  std::size_t room_ = 0;
  // Places of entries by a hash of their keys, plus 1; 0 for a free slot. Open addressing with linear probing.
  std::size_t* slots_ = nullptr;
  std::size_t n_slots_ = 0;  // a power of two, at least twice the room
};
