// SPDX-License-Identifier: Apache-2.0
// A parsed unit as nested dicts and lists, each value as the tables of nnr_codec/syntax give it. A visitor of
// generated/fields.hpp.
#pragma once

#include <nanobind/nanobind.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "field_keys.hpp"

namespace nnr_bindings {

class TreeWriter {
 public:
  // `view` is the memoryview that was parsed, whose first byte is at `data`.
  TreeWriter(const nnr::syntax::Scope& initial, std::span<const nnr::syntax::Bytes> names, nanobind::handle view,
             const std::uint8_t* data)
      : scope(initial), reference_list(names), view_(view), data_(data) {}

  [[nodiscard]] const nanobind::dict& tree() const { return tree_; }

  bool value(nnr::syntax::FieldId field, std::uint32_t number, unsigned = 32) { return set(field, of(number)); }
  template <class T>
  bool value(nnr::syntax::FieldId field, const T& number) {
    return set(field, of(number));
  }
  bool fixed(nnr::syntax::FieldId field, std::uint32_t number, std::uint32_t) { return set(field, of(number)); }
  bool alignment(nnr::syntax::FieldId field, std::uint32_t number) { return set(field, of(number)); }
  bool text(nnr::syntax::FieldId field, nnr::syntax::Bytes text) { return set(field, of_text(text)); }

  // A view of the parsed buffer.
  bool bytes(nnr::syntax::FieldId field, nnr::syntax::Bytes bytes) {
    const auto begin = static_cast<std::size_t>(bytes.data() - data_);
    const nanobind::object slice =
        nanobind::steal(PySlice_New(nanobind::int_(begin).ptr(), nanobind::int_(begin + bytes.size()).ptr(), nullptr));
    return set(field, nanobind::steal(PyObject_GetItem(view_.ptr(), slice.ptr())));
  }

  template <class T>
  bool values(nnr::syntax::FieldId field, std::int64_t, std::span<T> entries) {
    return list(field, entries.size(), [&](std::size_t index) { return of(entries[index]); });
  }
  bool texts(nnr::syntax::FieldId field, std::int64_t, std::span<nnr::syntax::Bytes> entries) {
    return list(field, entries.size(), [&](std::size_t index) { return of_text(entries[index]); });
  }

  template <class Visit>
  bool table(nnr::syntax::FieldId field, Visit visit) {
    return set(field, nested(visit));
  }
  template <class T, class Visit>
  bool tables(nnr::syntax::FieldId field, std::int64_t, std::span<T> entries, Visit visit) {
    return list(field, entries.size(), [&](std::size_t index) { return nested([&] { return visit(index); }); });
  }

  // The parser refuses units with such a table.
  static bool unsupported() { return false; }

  nnr::syntax::Scope scope;
  std::span<const nnr::syntax::Bytes> reference_list;

 private:
  static nanobind::object of(std::uint32_t number) { return nanobind::steal(PyLong_FromUnsignedLong(number)); }
  static nanobind::object of(std::int32_t number) { return nanobind::steal(PyLong_FromLong(number)); }
  static nanobind::object of(std::int64_t number) { return nanobind::steal(PyLong_FromLongLong(number)); }
  template <int kBytes>
  static nanobind::object of(const nnr::syntax::BigEndian<kBytes>& number) {
    return nanobind::handle(reinterpret_cast<PyObject*>(&PyLong_Type))
        .attr("from_bytes")(nanobind::bytes(number.bytes, kBytes), "big");
  }
  // A float, or the stream's bytes of a NaN that Python's float does not keep.
  static nanobind::object of(nnr::syntax::Binary32 number) {
    const auto value = std::bit_cast<float>(number.bits);
    if (!std::isnan(value)) return nanobind::steal(PyFloat_FromDouble(static_cast<double>(value)));
    char octets[4];
    for (int i = 0; i < 4; ++i) octets[i] = static_cast<char>(number.bits >> (8 * i) & 0xFF);
    const nanobind::bytes packed(octets, 4);
    const nanobind::object structs = nanobind::module_::import_("struct");
    nanobind::object unpacked = structs.attr("unpack")("<f", packed)[0];
    return structs.attr("pack")("<f", unpacked).equal(packed) ? unpacked : nanobind::object(packed);
  }
  static nanobind::object of_text(nnr::syntax::Bytes text) {
    return nanobind::steal(
        PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(text.data()), static_cast<Py_ssize_t>(text.size()), nullptr));
  }

  bool set(nnr::syntax::FieldId field, const nanobind::object& value) {
    if (!value.is_valid() || PyDict_SetItem(tree_.ptr(), key_of(field), value.ptr()) != 0) throw nanobind::python_error();
    return true;
  }

  template <class Make>
  bool list(nnr::syntax::FieldId field, std::size_t size, Make make) {
    const nanobind::object entries = nanobind::steal(PyList_New(static_cast<Py_ssize_t>(size)));
    if (!entries.is_valid()) throw nanobind::python_error();
    for (std::size_t index = 0; index < size; ++index) {
      nanobind::object entry = make(index);
      if (!entry.is_valid()) throw nanobind::python_error();
      PyList_SET_ITEM(entries.ptr(), static_cast<Py_ssize_t>(index), entry.release().ptr());
    }
    return set(field, entries);
  }

  template <class Visit>
  nanobind::object nested(Visit visit) {
    nanobind::dict outer;
    std::swap(outer, tree_);
    static_cast<void>(visit());
    std::swap(outer, tree_);
    return outer;
  }

  nanobind::handle view_;
  const std::uint8_t* data_;
  nanobind::dict tree_;
};

}  // namespace nnr_bindings
