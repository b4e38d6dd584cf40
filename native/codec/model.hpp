// SPDX-License-Identifier: Apache-2.0
// The tensors of a decoded stream, which nnr_model owns.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>

#include "hash_index.hpp"
#include "nnr/memory.hpp"

struct nnr_model {
  explicit nnr_model(const nnr_options& all) : options(all), arena(options.allocator) {}
  ~nnr_model() {
    for (const nnr_tensor& tensor : tensors) release_values(tensor);
  }

  void release_values(const nnr_tensor& tensor) const {
    if (tensor.values != nullptr) options.allocator.release(options.allocator.opaque, const_cast<void*>(tensor.values));
  }

  // Copies a tensor's description and takes over its values, also where it fails for lack of memory. A tensor of the same name
  // gives way to it, unless this is a list.
  [[nodiscard]] bool add(nnr_tensor tensor) {
    const bool is_copied = copy(tensor.name, tensor.name_bytes + 1) &&
                           copy(tensor.type_name, std::strlen(tensor.type_name) + 1) && copy(tensor.shape, tensor.n_dimensions) &&
                           copy(tensor.codebook, tensor.codebook_size) && copy(tensor.weight_shape, tensor.n_weight_dimensions);
    const std::size_t place = is_copied && !is_list ? find(tensor.name, tensor.name_bytes) : nnr::HashIndex::kAbsent;
    if (place != nnr::HashIndex::kAbsent) {
      release_values(tensors[place]);
      tensors[place] = tensor;
      return true;
    }
    if (!is_copied || !tensors.append(options.allocator, tensor)) {
      release_values(tensor);
      return false;
    }
    const auto equal = [](std::size_t) { return false; };  // the name is new
    return is_list || index.set(options.allocator, index.hash(tensor.name, tensor.name_bytes), tensors.size() - 1, equal);
  }

  // Adds the tensor at `place` of another model, which loses its values.
  [[nodiscard]] bool take(nnr_model& other, std::size_t place) {
    const nnr_tensor tensor = other.tensors[place];
    other.tensors[place].values = nullptr;
    return add(tensor);
  }

  [[nodiscard]] std::size_t find(const char* name, std::size_t n_bytes) const {
    return index.find(index.hash(name, n_bytes), [&](std::size_t place) {
      return tensors[place].name_bytes == n_bytes && std::memcmp(tensors[place].name, name, n_bytes) == 0;
    });
  }

  template <class T>
  [[nodiscard]] bool copy(const T*& values, std::size_t size) {
    if (values == nullptr) return true;
    T* const copied = arena.make<T>(size);
    if (copied == nullptr) return false;
    std::copy_n(values, size, copied);
    values = copied;
    return true;
  }

  nnr_options options;
  bool is_list = false;  // tensors in order, not found by name
  nnr::Arena arena;
  nnr::Buffer<nnr_tensor> tensors;
  nnr::HashIndex index;
};

namespace nnr {

// An object in memory of the allocator that it holds a copy of.
template <class T>
T* create(const nnr_options& options) {
  void* const memory = options.allocator.allocate(options.allocator.opaque, sizeof(T));
  return memory == nullptr ? nullptr : new (memory) T(options);
}

template <class T>
void destroy(T* object) {
  if (object == nullptr) return;
  const nnr_allocator allocator = object->options.allocator;
  object->~T();
  allocator.release(allocator.opaque, object);
}

}  // namespace nnr
