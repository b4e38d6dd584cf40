// SPDX-License-Identifier: Apache-2.0
// One-dimensional arrays from Python through the buffer protocol, which NumPy arrays, bytes and memoryviews support. A conversion
// takes a tenth of the time of nanobind's ndarray, which uses DLPack, and a small tensor needs several.
#pragma once

#include <nanobind/nanobind.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

namespace nnr_bindings {

// A typed view that keeps the memory of its Python object alive. It is created and destroyed with the GIL held.
template <class T>
class Array {
 public:
  Array() = default;

  // Takes a buffer of one dimension. Returns false, without a Python error, unless it is aligned, C-contiguous and of this type.
  bool take(nanobind::handle source) {
    std::unique_ptr<Py_buffer> view(new Py_buffer);
    constexpr int kFlags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (std::is_const_v<T> ? 0 : PyBUF_WRITABLE);
    if (PyObject_GetBuffer(source.ptr(), view.get(), kFlags) != 0) {
      PyErr_Clear();
      return false;
    }
    view_ = std::shared_ptr<Py_buffer>(view.release(), [](Py_buffer* buffer) {
      PyBuffer_Release(buffer);
      delete buffer;
    });
    const bool aligned = view_->len == 0 || reinterpret_cast<std::uintptr_t>(view_->buf) % alignof(T) == 0;
    return aligned && view_->ndim == 1 && view_->itemsize == sizeof(T) && has_type(view_->format);
  }

  [[nodiscard]] T* data() const { return static_cast<T*>(view_->buf); }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(view_->len) / sizeof(T); }

 private:
  // Compares format codes of the struct module; an absent format means bytes.
  static bool has_type(const char* format) {
    using Value = std::remove_const_t<T>;
    if (format == nullptr) return std::is_same_v<Value, std::uint8_t>;
    if (*format == '@' || *format == '=' || *format == (std::endian::native == std::endian::little ? '<' : '>')) ++format;
    const char* const codes = std::is_same_v<Value, float> ? "f" : std::is_same_v<Value, std::int32_t> ? "il" : "B";
    return *format != '\0' && std::strchr(codes, *format) != nullptr && format[1] == '\0';
  }

  std::shared_ptr<Py_buffer> view_;
};

template <class T>
constexpr auto type_name() {
  using Value = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Value, float>)
    return nanobind::detail::const_name("numpy.typing.NDArray[numpy.float32]");
  else if constexpr (std::is_same_v<Value, std::int32_t>)
    return nanobind::detail::const_name("numpy.typing.NDArray[numpy.int32]");
  else
    return nanobind::detail::const_name("bytes | memoryview | numpy.typing.NDArray[numpy.uint8]");
}

}  // namespace nnr_bindings

namespace nanobind::detail {

template <class T>
struct type_caster<nnr_bindings::Array<T>> {
  NB_TYPE_CASTER(nnr_bindings::Array<T>, nnr_bindings::type_name<T>())

  bool from_python(handle source, std::uint8_t, cleanup_list*) noexcept { return value.take(source); }
};

}  // namespace nanobind::detail
