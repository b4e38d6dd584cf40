// SPDX-License-Identifier: Apache-2.0
#include "syntax.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "builder.hpp"
#include "parser.hpp"
#include "status_name.hpp"
#include "tree_reader.hpp"
#include "tree_writer.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace nnr::syntax;

namespace nnr_bindings {
namespace {

// The syntax of units after others: values of earlier units, the reference list, and limits.
class UnitSyntax {
 public:
  UnitSyntax(std::uint32_t general_profile_idc, bool indexed_references, bool parent_signalling, std::vector<std::string> names,
             nb::handle limits)
      : names_(std::move(names)) {
    for (const std::string& name : names_)
      references_.emplace_back(reinterpret_cast<const std::uint8_t*>(name.data()), name.size());
    scope_.general_profile_idc = general_profile_idc;
    scope_.mps_topology_indexed_reference_flag = indexed_references ? 1 : 0;
    scope_.mps_parent_signalling_enabled_flag = parent_signalling ? 1 : 0;
    scope_.NumReferences = static_cast<std::int64_t>(names_.size());
    visit_limits(limits_, [&](const char* name, std::uint64_t& bound) {
      const nb::object value = limits.attr(name);
      bound = value.is_none() ? NNR_UNLIMITED : nb::cast<std::uint64_t>(value);
    });
  }

  // The tree of the unit in bytes `begin` to `end`, or class, bit and element of its fault.
  [[nodiscard]] nb::object parse(nb::handle view, std::uint64_t begin, std::uint64_t end) const {
    Array<const std::uint8_t> buffer;
    if (!buffer.take(view)) throw nb::type_error("a view of bytes is needed");
    if (begin > end || end > buffer.size()) throw nb::value_error("the unit is not inside the buffer");
    nnr::Arena arena(nnr::kHeap);
    NnrUnit unit;
    Parser parser(buffer.data(), begin, end, limits_, arena, references_);
    parser.scope = scope_;
    if (!parse_nnr_unit(parser, unit) || !parser.expect_end()) return fault_of(parser, buffer.data(), begin, end);
    TreeWriter writer(scope_, references_, view, buffer.data());
    static_cast<void>(visit_nnr_unit(writer, unit));
    return writer.tree();
  }

  // The bytes of a unit, or None for a tree that the tables do not allow. `sized` keeps the tree's size field.
  [[nodiscard]] nb::object build(const nb::dict& tree, bool sized) const {
    nnr::Arena arena(nnr::kHeap);
    TreeReader reader(scope_, references_, arena);
    NnrUnit unit;
    if (!reader.read(tree, [&] { return visit_nnr_unit(reader, unit); })) return nb::none();
    Builder builder(nnr::kHeap, references_);
    builder.scope = scope_;
    if (!(sized ? build_nnr_unit(builder, unit) : build_sized_unit(builder, unit))) {
      if (builder.fault.status == NNR_MEMORY) throw std::bad_alloc();
      return nb::none();
    }
    const std::size_t n_head = builder.head().size(), n_tail = builder.tail().size();
    nb::object octets = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(n_head + n_tail)));
    if (!octets.is_valid()) throw nb::python_error();
    char* const out = PyBytes_AS_STRING(octets.ptr());
    std::memcpy(out, builder.head().data(), n_head);
    if (n_tail != 0) std::memcpy(out + n_head, builder.tail().data(), n_tail);
    return octets;
  }

 private:
  [[nodiscard]] nb::object fault_of(const Parser& parser, const std::uint8_t* data, std::uint64_t begin,
                                    std::uint64_t end) const {
    if (parser.fault.status == NNR_MEMORY) throw std::bad_alloc();
    std::uint64_t bit_offset = parser.fault.bit_offset;
    if (parser.fault_watch.element != ElementId::kNone) {
      // The element precedes the fault: a second parse passes it.
      nnr::Arena arena(nnr::kHeap);
      NnrUnit unit;
      Parser again(data, begin, end, limits_, arena, references_);
      again.scope = scope_;
      again.watch(parser.fault_watch);
      static_cast<void>(parse_nnr_unit(again, unit));
      bit_offset = again.watched_position();
    }
    return nb::make_tuple(name_of(parser.fault.status), bit_offset, parser.fault.element);
  }

  std::vector<std::string> names_;
  std::vector<Bytes> references_;
  Scope scope_;
  nnr_limits limits_{};
};

}  // namespace
}  // namespace nnr_bindings

void register_syntax(nb::module_& m) {
  using nnr_bindings::UnitSyntax;
  nb::class_<UnitSyntax>(m, "UnitSyntax")
      .def(nb::init<std::uint32_t, bool, bool, std::vector<std::string>, nb::handle>(), "general_profile_idc"_a,
           "mps_topology_indexed_reference_flag"_a, "mps_parent_signalling_enabled_flag"_a, "reference_list"_a, "limits"_a)
      .def("parse", &UnitSyntax::parse, "view"_a, "begin"_a, "end"_a,
           nb::sig("def parse(self, view: memoryview, begin: int, end: int) -> dict[str, object] | tuple[str, int, str]"))
      .def("build", &UnitSyntax::build, "tree"_a, "sized"_a = false,
           nb::sig("def build(self, tree: dict[str, object], sized: bool = False) -> bytes | None"));
}
