// SPDX-License-Identifier: Apache-2.0
// Nested dicts and lists as the struct of a unit; the inverse of TreeWriter. A visitor of generated/fields.hpp.
#pragma once

#include <nanobind/nanobind.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

#include "field_keys.hpp"
#include "nnr/memory.hpp"

namespace nnr_bindings {

// Reads values that the generated builder can take. The visit ends with false at a missing element, at one that has no place, and
// at a value of another type or size; it leaves no Python error. The spans in the struct are valid as long as reader and tree.
class TreeReader {
 public:
  TreeReader(const nnr::syntax::Scope& initial, std::span<const nnr::syntax::Bytes> names, nnr::Arena& arena)
      : scope(initial), reference_list(names), arena_(arena) {}
  TreeReader(const TreeReader&) = delete;
  TreeReader& operator=(const TreeReader&) = delete;
  ~TreeReader() {
    if (payload_.obj != nullptr) PyBuffer_Release(&payload_);
  }

  // Visits all of a tree with `visit`.
  template <class Visit>
  bool read(nanobind::handle tree, Visit visit) {
    if (!PyDict_Check(tree.ptr())) return false;
    PyObject* const outer = tree_;
    const Py_ssize_t n_outer = n_read_;
    tree_ = tree.ptr();
    n_read_ = 0;
    const bool done = visit() && n_read_ == PyDict_GET_SIZE(tree_);
    tree_ = outer;
    n_read_ = n_outer;
    return done;
  }

  template <class T>
  bool value(nnr::syntax::FieldId field, T& number) {
    return to(take(field), number);
  }
  bool value(nnr::syntax::FieldId field, std::uint32_t& number, unsigned n_bits) {
    return to(take(field), number) && std::uint64_t{number} >> n_bits == 0;
  }
  bool fixed(nnr::syntax::FieldId field, std::uint32_t& number, std::uint32_t value) {
    number = value;
    PyObject* const item = take(field);
    return item == nullptr || item == Py_None || (to(item, number) && number == value);
  }
  bool alignment(nnr::syntax::FieldId field, std::uint32_t& number) {
    number = 0;
    PyObject* const item = take(field);
    return item == nullptr || item == Py_None || (to(item, number) && number != 0);
  }
  bool text(nnr::syntax::FieldId field, nnr::syntax::Bytes& text) { return to_text(take(field), text); }
  bool bytes(nnr::syntax::FieldId field, nnr::syntax::Bytes& bytes) {
    PyObject* const item = take(field);
    if (item == nullptr || !(PyBytes_Check(item) || PyByteArray_Check(item) || PyMemoryView_Check(item))) return false;
    if (payload_.obj != nullptr || PyObject_GetBuffer(item, &payload_, PyBUF_SIMPLE) != 0) return fail();
    bytes = {static_cast<const std::uint8_t*>(payload_.buf), static_cast<std::size_t>(payload_.len)};
    return true;
  }

  template <class T>
  bool values(nnr::syntax::FieldId field, std::int64_t count, std::span<T>& entries) {
    return list(field, count, entries, [&](std::size_t index, PyObject* item) { return to(item, entries[index]); });
  }
  bool texts(nnr::syntax::FieldId field, std::int64_t count, std::span<nnr::syntax::Bytes>& entries) {
    return list(field, count, entries, [&](std::size_t index, PyObject* item) { return to_text(item, entries[index]); });
  }

  template <class Visit>
  bool table(nnr::syntax::FieldId field, Visit visit) {
    PyObject* const item = take(field);
    return item != nullptr && read(item, visit);
  }
  template <class T, class Visit>
  bool tables(nnr::syntax::FieldId field, std::int64_t count, std::span<T>& entries, Visit visit) {
    return list(field, count, entries,
                [&](std::size_t index, PyObject* item) { return read(item, [&] { return visit(index); }); });
  }

  static bool unsupported() { return false; }

  nnr::syntax::Scope scope;
  std::span<const nnr::syntax::Bytes> reference_list;

 private:
  static bool fail() {
    PyErr_Clear();
    return false;
  }

  // A borrowed reference, or null.
  PyObject* take(nnr::syntax::FieldId field) {
    PyObject* const item = PyDict_GetItemWithError(tree_, key_of(field));
    if (item == nullptr) {
      PyErr_Clear();
    } else {
      ++n_read_;
    }
    return item;
  }

  template <class T>
  static bool to_integer(PyObject* item, std::int64_t least, std::int64_t most, T& number) {
    if (item == nullptr || !PyLong_Check(item)) return false;
    const long long integer = PyLong_AsLongLong(item);
    if (integer == -1 && PyErr_Occurred() != nullptr) return fail();
    number = static_cast<T>(integer);
    return least <= integer && integer <= most;
  }
  static bool to(PyObject* item, std::uint32_t& number) { return to_integer(item, 0, UINT32_MAX, number); }
  static bool to(PyObject* item, std::int32_t& number) { return to_integer(item, INT32_MIN, INT32_MAX, number); }
  // An ie(k): 32 bits and the sign.
  static bool to(PyObject* item, std::int64_t& number) { return to_integer(item, -std::int64_t{UINT32_MAX}, UINT32_MAX, number); }
  template <int kBytes>
  static bool to(PyObject* item, nnr::syntax::BigEndian<kBytes>& number) {
    if (item == nullptr || !PyLong_Check(item)) return false;
    const nanobind::object octets = nanobind::steal(PyObject_CallMethod(item, "to_bytes", "is", kBytes, "big"));
    if (!octets.is_valid()) return fail();
    std::memcpy(number.bytes, PyBytes_AS_STRING(octets.ptr()), kBytes);
    return true;
  }
  static bool to(PyObject* item, nnr::syntax::Binary32& number) {
    if (item == nullptr) return false;
    nanobind::object octets = nanobind::borrow(item);
    if (!PyBytes_Check(item)) {
      const double value = PyFloat_AsDouble(item);
      if (value == -1.0 && PyErr_Occurred() != nullptr) return fail();
      const auto rounded = static_cast<float>(value);
      if (std::isinf(rounded) && !std::isinf(value)) return false;
      number.bits = std::bit_cast<std::uint32_t>(rounded);
      if (!std::isnan(value)) return true;
      octets = nanobind::module_::import_("struct").attr("pack")("<f", nanobind::handle(item));
    }
    if (PyBytes_GET_SIZE(octets.ptr()) != 4) return false;
    number.bits = 0;
    for (int i = 3; i >= 0; --i) number.bits = number.bits << 8 | static_cast<std::uint8_t>(PyBytes_AS_STRING(octets.ptr())[i]);
    return true;
  }
  static bool to_text(PyObject* item, nnr::syntax::Bytes& text) {
    if (item == nullptr || !PyUnicode_Check(item)) return false;
    Py_ssize_t size = 0;
    const char* const octets = PyUnicode_AsUTF8AndSize(item, &size);
    if (octets == nullptr) return fail();
    text = {reinterpret_cast<const std::uint8_t*>(octets), static_cast<std::size_t>(size)};
    return true;
  }

  template <class T, class Take>
  bool list(nnr::syntax::FieldId field, std::int64_t count, std::span<T>& entries, Take take_entry) {
    PyObject* const item = take(field);
    if (item == nullptr || (!PyList_Check(item) && !PyTuple_Check(item))) return false;
    const auto size = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(item));
    if (size != (count < 0 ? 0 : static_cast<std::uint64_t>(count))) return false;
    T* const values = arena_.make<T>(size);
    if (values == nullptr) throw std::bad_alloc();
    entries = {values, size};
    for (std::size_t index = 0; index < size; ++index)
      if (!take_entry(index, PySequence_Fast_GET_ITEM(item, static_cast<Py_ssize_t>(index)))) return false;
    return true;
  }

  nnr::Arena& arena_;
  PyObject* tree_ = nullptr;  // borrowed from the caller of read()
  Py_ssize_t n_read_ = 0;     // keys of it
  Py_buffer payload_{};       // a unit has one bs(v) at most
};

}  // namespace nnr_bindings
