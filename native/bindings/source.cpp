// SPDX-License-Identifier: Apache-2.0
#include "source.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "element_types.hpp"
#include "source_reader.hpp"
#include "tensor_patch.hpp"
#include "unit_batch.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nnr_bindings {

namespace {

using Text = nnr::DescriptionListener::Member;

nb::object text_of(std::string_view text) {
  return nnr_bindings::text_of({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string_view view_of(std::span<const char> text) { return {text.data(), text.size()}; }

// UTF-8 of a Python string, lone surrogates included.
std::string utf8_of(nb::handle text) {
  Py_ssize_t n_bytes = 0;
  if (const char* const kept = PyUnicode_AsUTF8AndSize(text.ptr(), &n_bytes); kept != nullptr)
    return {kept, static_cast<std::size_t>(n_bytes)};
  PyErr_Clear();
  const nb::object octets = nb::steal(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
  if (!octets.is_valid()) throw nb::python_error();
  return {PyBytes_AS_STRING(octets.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(octets.ptr()))};
}

// A complete item with its content, which Python's buffers refer to.
struct CarriedItem {
  explicit CarriedItem(const nnr::CarriedItem& item, nnr::Buffer<std::uint8_t> octets)
      : kind(item.kind),
        place(item.place),
        n_bytes(item.n_bytes),
        name(view_of(item.name)),
        tag(view_of(item.tag)),
        shape(item.shape.begin(), item.shape.end()),
        content(std::move(octets)) {}

  nnr::CarriedKind kind;
  nnr::UnitPlace place;
  std::uint64_t n_bytes;
  std::string name;
  std::string tag;
  std::vector<std::uint64_t> shape;
  nnr::Buffer<std::uint8_t> content;
};

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  if (!nb::inst_ready(self)) {
    PyErr_SetString(PyExc_BufferError, "the item is empty");
    return -1;
  }
  auto& content = nb::inst_ptr<CarriedItem>(self)->content;
  static std::uint8_t nothing[1];
  void* const octets = content.size() == 0 ? nothing : content.data();
  return PyBuffer_FillInfo(view, self, octets, static_cast<Py_ssize_t>(content.size()), 0, flags);
}

PyType_Slot carried_item_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)}, {0, nullptr}};

class TypeRules {
 public:
  using Scope = nnr::TypeRules::Scope;

  void add(Scope scope, nb::handle text, nb::handle label) {
    if (!rules.add(scope, utf8_of(text), utf8_of(label))) throw std::bad_alloc();
  }
  [[nodiscard]] nnr::TypeLabel label(nb::handle name) {
    nnr::TypeLabel label;
    if (!rules.label(utf8_of(name), label)) throw std::bad_alloc();
    return label;
  }
  // Labels by text.
  [[nodiscard]] nb::dict rules_of(Scope scope) const {
    nb::dict labels;
    rules.for_each([&](Scope of, std::string_view text, std::string_view label) {
      if (of == scope) labels[text_of(text)] = text_of(label);
    });
    return labels;
  }
  [[nodiscard]] nb::object default_label() const {
    nb::object text;
    rules.for_each([&](Scope of, std::string_view, std::string_view label) {
      if (of == Scope::kAll) text = text_of(label);
    });
    return text;
  }

  [[nodiscard]] nb::tuple state() const {
    return nb::make_tuple(default_label(), rules_of(Scope::kSuffix), rules_of(Scope::kName));
  }
  void restore(const nb::tuple& state) {
    if (state.size() != 3) throw nb::value_error("the state of type rules has three parts");
    add(Scope::kAll, nb::str(""), state[0]);
    for (const auto& [text, label] : nb::cast<nb::dict>(state[1])) add(Scope::kSuffix, text, label);
    for (const auto& [text, label] : nb::cast<nb::dict>(state[2])) add(Scope::kName, text, label);
  }

  nnr::TypeRules rules{nnr::kHeap};
};

class SourceReader {
 public:
  SourceReader(nb::handle limits, std::uint64_t stream_bytes, const std::optional<std::vector<nb::bytes>>& wanted)
      : limits_(limits_of(limits)),
        stream_bytes_(stream_bytes),
        types_(nb::cast(std::make_unique<TypeRules>())),
        source_(limits_, nnr::kHeap, nb::cast<TypeRules&>(types_).rules, {&take, this}) {
    if (!wanted) return;
    wanted_.emplace();
    for (const nb::bytes& name : *wanted) wanted_->emplace(name.c_str(), name.size());
  }
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;

  // Returns the item that a unit completes, a fault, or None.
  nb::object add(const Array<const std::uint8_t>& content, std::uint64_t unit, std::uint64_t byte_offset,
                 std::uint64_t total_elements) {
    const nnr::syntax::Bytes octets{content.data(), content.size()};
    const nnr::UnitPlace place = {unit, 8 * byte_offset};
    const nnr::CarriedItem* item = nullptr;
    nnr::Fault fault;
    {
      const nb::gil_scoped_release release;
      fault = source_.add(octets, place, total_elements, stream_bytes_, {&is_kept, this}, item);
    }
    if (fault.status == NNR_MEMORY) throw std::bad_alloc();
    if (fault.status != NNR_OK && fault.bit_offset != place.bit_offset) return of_item(fault);
    if (fault.status != NNR_OK) return nb::cast(UnitFault{fault, unit, piece_text(octets)});
    if (item == nullptr || item->kind == nnr::CarriedKind::kPadding) return nb::none();
    return nb::cast(std::make_unique<CarriedItem>(*item, source_.carriers().take_content()));
  }

  [[nodiscard]] nb::object finish() const {
    const nnr::Fault fault = source_.finish();
    return fault.status == NNR_OK ? nb::none() : of_item(fault);
  }

  // Kind and metadata of the description, None where a carrier has the value; None before a description is read.
  [[nodiscard]] nb::object description() const {
    if (!source_.is_described()) return nb::none();
    nb::dict metadata;
    for (const auto& [key, value] : metadata_)
      metadata[text_of(std::string_view(key))] = value ? text_of(std::string_view(*value)) : nb::none();
    return nb::make_tuple(text_of(std::string_view(kind_)), metadata);
  }
  [[nodiscard]] nb::list full_names() const {
    nb::list names;
    for (const nnr::syntax::Bytes name : source_.full_names()) names.append(nnr_bindings::text_of(name));
    return names;
  }
  [[nodiscard]] nb::object types() const { return types_; }
  // Name of the carried tensor of which more pieces follow.
  [[nodiscard]] nb::object open_tensor() const {
    const nnr::CarriedItem* const item = source_.carriers().open_item();
    return item == nullptr || item->kind != nnr::CarriedKind::kTensor ? nb::none() : text_of(view_of(item->name));
  }

 private:
  static bool is_kept(const void* opaque, nnr::CarriedKind kind, nnr::syntax::Bytes name) {
    const auto& wanted = static_cast<const SourceReader*>(opaque)->wanted_;
    if (kind != nnr::CarriedKind::kTensor && kind != nnr::CarriedKind::kPatch) return kind != nnr::CarriedKind::kPadding;
    return !wanted || wanted->contains({reinterpret_cast<const char*>(name.data()), name.size()});
  }

  static void take(void* opaque, Text member, std::string_view text) {
    auto& self = *static_cast<SourceReader*>(opaque);
    if (member == Text::kKind) self.kind_ = text;
    if (member == Text::kMetadata) self.metadata_.clear();
    if (member == Text::kKey) self.metadata_.emplace_back(text, std::nullopt);
    if (member == Text::kValue) self.metadata_.back().second = text;
  }

  [[nodiscard]] nb::object of_item(const nnr::Fault& fault) const {
    return nb::cast(UnitFault{fault, source_.carriers().item_place().index});
  }

  // The piece in a unit, for the text of a fault; empty where there is none.
  [[nodiscard]] std::string piece_text(nnr::syntax::Bytes octets) const {
    static constexpr const char* kKinds[] = {"",         "tensor",   "attachment", "metadata", "description",
                                             "topology", "position", "padding",    "names",    "patch"};
    constexpr std::size_t kLongest = 64;
    nnr::Buffer<std::uint8_t> characters, text;
    nnr::CarrierPiece piece;
    if (!nnr::is_carrier(octets)) return {};
    if (read_piece(octets, limits_.max_topology_bytes, nnr::kHeap, characters, text, piece).status != NNR_OK) return {};
    const nb::object name = nnr_bindings::text_of(piece.name);
    const nb::object head = nb::steal(PySequence_GetSlice(name.ptr(), 0, kLongest));
    return " (byte " + std::to_string(piece.offset) + " of " + std::to_string(piece.total) + " bytes of " +
           kKinds[static_cast<std::size_t>(piece.kind)] + " " + nb::repr(head).c_str() + ")";
  }

  nnr_limits limits_;
  std::uint64_t stream_bytes_;
  nb::object types_;
  mutable nnr::SourceReader source_;
  std::optional<std::unordered_set<std::string>> wanted_;
  std::string kind_;
  std::vector<std::pair<std::string, std::optional<std::string>>> metadata_;
};

bool apply_patch(const Array<const std::uint8_t>& patch, const Array<float>& values) {
  return nnr::apply_patch({patch.data(), patch.size()}, values.size(), values.data());
}

// Contiguous memory of an array of any shape.
class Memory {
 public:
  Memory(nb::handle array, int flags) {
    if (PyObject_GetBuffer(array.ptr(), &view_, PyBUF_C_CONTIGUOUS | flags) != 0) throw nb::python_error();
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { PyBuffer_Release(&view_); }

  [[nodiscard]] void* data() const { return view_.buf; }
  [[nodiscard]] std::size_t n_bytes() const { return static_cast<std::size_t>(view_.len); }
  // True if the elements have 4 bytes and one of these codes of the struct module.
  [[nodiscard]] bool holds(std::string_view codes) const {
    const std::string_view format = view_.format == nullptr ? "B" : view_.format;
    return view_.itemsize == 4 && format.size() == 1 && codes.find(format.front()) != std::string_view::npos;
  }

 private:
  Py_buffer view_;
};

// Converts float32 or int32 values. False if an integer type cannot hold one.
bool convert_elements(nb::handle values, std::string_view tag, unsigned n_bits, nb::handle elements) {
  const Memory from(values, PyBUF_FORMAT), to(elements, PyBUF_WRITABLE);
  const bool are_integers = from.holds("il");
  if (!are_integers && !from.holds("f")) throw nb::type_error("values are float32 or int32");
  const nnr_type type = nnr::type_of_tag(tag);
  if (type == NNR_OPAQUE) throw nb::value_error("a type without arithmetic");
  const std::size_t count = from.n_bytes() / 4;
  if (to.n_bytes() != count * nnr::element_type(type).n_bytes) throw nb::value_error("elements have another size");
  const nb::gil_scoped_release release;
  return nnr::convert_elements(from.data(), are_integers, count, type, n_bits, to.data());
}

}  // namespace

void register_source(nb::module_& m) {
  nb::class_<CarriedItem>(m, "CarriedItem", nb::type_slots(carried_item_slots))
      .def_prop_ro("kind", [](const CarriedItem& self) { return static_cast<int>(self.kind); })
      .def_prop_ro(
          "name", [](const CarriedItem& self) { return text_of(std::string_view(self.name)); }, nb::sig("def name(self) -> str"))
      .def_prop_ro(
          "tag", [](const CarriedItem& self) { return text_of(std::string_view(self.tag)); }, nb::sig("def tag(self) -> str"))
      .def_prop_ro(
          "shape", [](const CarriedItem& self) { return nb::tuple(nb::cast(self.shape)); },
          nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_ro("n_bytes", &CarriedItem::n_bytes)
      .def_prop_ro("unit", [](const CarriedItem& self) { return self.place.index; })
      .def_prop_ro("bit_offset", [](const CarriedItem& self) { return self.place.bit_offset; })
      .def_prop_ro(
          "content", [](nb::handle self) { return nb::steal(PyMemoryView_FromObject(self.ptr())); },
          nb::sig("def content(self) -> memoryview"));

  nb::class_<TypeRules>(m, "TypeRules")
      .def(nb::init<>())
      .def(
          "set_default", [](TypeRules& self, const nb::str& label) { self.add(TypeRules::Scope::kAll, nb::str(""), label); },
          "label"_a)
      .def(
          "add_suffix",
          [](TypeRules& self, const nb::str& text, const nb::str& label) { self.add(TypeRules::Scope::kSuffix, text, label); },
          "text"_a, "label"_a)
      .def(
          "add_name",
          [](TypeRules& self, const nb::str& text, const nb::str& label) { self.add(TypeRules::Scope::kName, text, label); },
          "text"_a, "label"_a)
      .def_prop_ro("default", &TypeRules::default_label, nb::sig("def default(self) -> str"))
      .def_prop_ro(
          "suffixes", [](const TypeRules& self) { return self.rules_of(TypeRules::Scope::kSuffix); },
          nb::sig("def suffixes(self) -> dict[str, str]"))
      .def_prop_ro(
          "names", [](const TypeRules& self) { return self.rules_of(TypeRules::Scope::kName); },
          nb::sig("def names(self) -> dict[str, str]"))
      .def_prop_ro("is_empty", [](const TypeRules& self) { return self.rules.empty(); })
      .def(
          "label", [](TypeRules& self, const nb::str& name) { return text_of(self.label(name).text); }, "name"_a,
          nb::sig("def label(self, name: str) -> str"))
      .def(
          "tag", [](TypeRules& self, const nb::str& name) { return text_of(self.label(name).tag); }, "name"_a,
          nb::sig("def tag(self, name: str) -> str"))
      .def("__getstate__", [](const TypeRules& self) { return self.state(); })
      .def("__setstate__", [](TypeRules& self, const nb::tuple& state) { (new (&self) TypeRules)->restore(state); });

  nb::class_<SourceReader>(m, "SourceReader")
      .def(nb::init<nb::handle, std::uint64_t, const std::optional<std::vector<nb::bytes>>&>(), "limits"_a, "stream_bytes"_a,
           "wanted"_a = nb::none())
      .def(
          "add", &SourceReader::add, "content"_a, "unit"_a, "byte_offset"_a, "total_elements"_a,
          nb::sig("def add(self, content: bytes | memoryview, unit: int, byte_offset: int, total_elements: int) -> CarriedItem | "
                  "Fault | None"))
      .def("finish", &SourceReader::finish, nb::sig("def finish(self) -> Fault | None"))
      .def_prop_ro("description", &SourceReader::description,
                   nb::sig("def description(self) -> tuple[str, dict[str, str | None]] | None"))
      .def_prop_ro("full_names", &SourceReader::full_names, nb::sig("def full_names(self) -> list[str]"))
      .def_prop_ro("types", &SourceReader::types, nb::sig("def types(self) -> TypeRules"))
      .def_prop_ro("open_tensor", &SourceReader::open_tensor, nb::sig("def open_tensor(self) -> str | None"));

  m.def("apply_patch", &apply_patch, "patch"_a, "values"_a);
  m.def("convert_elements", &convert_elements, "values"_a, "tag"_a, "n_bits"_a, "elements"_a,
        nb::sig("def convert_elements(values: numpy.typing.NDArray[numpy.float32] | numpy.typing.NDArray[numpy.int32], tag: str, "
                "n_bits: int, elements: numpy.typing.NDArray[typing.Any]) -> bool"));
}

}  // namespace nnr_bindings
