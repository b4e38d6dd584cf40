// SPDX-License-Identifier: Apache-2.0
#include "unit_batch.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "batch_pickle.hpp"
#include "parser.hpp"
#include "status_name.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nnr_bindings {

nb::object text_of(nnr::syntax::Bytes text) {
  PyObject* const decoded =
      PyUnicode_DecodeUTF8(reinterpret_cast<const char*>(text.data()), static_cast<Py_ssize_t>(text.size()), "surrogatepass");
  if (decoded == nullptr) throw nb::python_error();
  return nb::steal(decoded);
}

UnitFault UnitBatch::placed(std::size_t unit, nnr::Fault fault) const {
  const Unit& faulty = units[unit];
  const std::uint64_t bit = fault.bit_offset - 8 * faulty.walked.coded.begin;
  fault.bit_offset = faulty.joined ? faulty.joined->absolute(bit) : 8 * faulty.walked.begin + bit;
  return {fault, faulty.walked.index};
}

std::uint64_t UnitBatch::locate(std::size_t unit, nnr::syntax::Watch place) const {
  const nnr::CodedUnit& coded = units[unit].walked.coded;
  const nnr_limits limits = unlimited();
  nnr::Arena memory(nnr::kHeap);
  nnr::syntax::Parser parser(coded.buffer, coded.begin, coded.end, limits, memory, {});
  parser.scope = scope;
  parser.watch(place);
  nnr::syntax::NnrUnit parsed;
  // Whether it parses does not matter: the elements of updates come before all that names and limits decide.
  static_cast<void>(parse_nnr_unit(parser, parsed));
  const std::uint64_t position = parser.watched_position();
  return position == nnr::syntax::Parser::kNotSeen ? 8 * coded.begin : position;
}

bool fits_array(const nnr::TensorPlan& plan) {
  if (plan.n_elements != 0) return true;
  std::uint64_t n_bytes = sizeof(std::int32_t);
  for (const std::uint64_t dimension : plan.shape)
    n_bytes = nnr::saturating_product(n_bytes, std::max<std::uint64_t>(dimension, 1));
  return n_bytes <= PTRDIFF_MAX;
}

namespace {

nb::object shape_of(std::span<const std::uint64_t> shape) {
  const nb::object dimensions = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (std::size_t i = 0; i < shape.size(); ++i)
    PyTuple_SET_ITEM(dimensions.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromUnsignedLongLong(shape[i]));
  return dimensions;
}

// A tuple with an entry for each tensor, in the order of names.
template <class Entry>
nb::object by_name(const nnr::DataUnit& unit, Entry entry) {
  const nb::object entries = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(unit.tensors.size())));
  for (const nnr::TensorPlan& plan : unit.tensors)
    PyTuple_SET_ITEM(entries.ptr(), static_cast<Py_ssize_t>(plan.name_index), nb::object(entry(plan)).release().ptr());
  return entries;
}

const char* role_of(const nnr::TensorPlan& plan) {
  static constexpr const char* kRoles[] = {"weight", "G", "H", "local scaling", "beta", "gamma", "mean", "var", "bias"};
  return kRoles[static_cast<std::size_t>(plan.role)];
}

nb::object codebook_of(const nnr::TensorPlan& plan) {
  if (plan.codebook.values.empty()) return nb::none();
  nb::list values;
  for (const std::int32_t value : plan.codebook.values) values.append(value);
  return nb::make_tuple(values, plan.codebook.zero);
}

// Arguments of numpy.empty for each tensor.
nb::list layout(const UnitBatch& batch, bool dequantize, nb::handle float32, nb::handle int32) {
  nb::list arrays;
  for (const UnitBatch::Unit& unit : batch.units) {
    const nnr::CodedUnit& coded = unit.walked.coded;
    const nb::handle type = coded.is_raw() || (dequantize && !coded.is_integer()) ? float32 : int32;
    const nb::object tensors = by_name(coded.data, [&](const nnr::TensorPlan& plan) {
      return nb::make_tuple(fits_array(plan) ? shape_of(plan.shape) : nb::object(nb::make_tuple(0)), type);
    });
    for (const nb::handle tensor : tensors) arrays.append(tensor);
  }
  return arrays;
}

// True if the unit's format field asks for no other type than that of the decoded values.
bool has_plain_format(const nnr::CodedUnit& unit) {
  constexpr std::uint32_t kInt32 = 0, kFloat32 = 1;
  const auto& header = *unit.data.header;
  return !header.has_nnr_decompressed_data_format ||
         header.nnr_decompressed_data_format == (unit.is_integer() ? kInt32 : kFloat32);
}

nb::object names_of(const nnr::DataUnit& unit) {
  const nb::object texts = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(unit.names.size())));
  for (std::size_t i = 0; i < unit.names.size(); ++i)
    PyTuple_SET_ITEM(texts.ptr(), static_cast<Py_ssize_t>(i), text_of(unit.names[i]).release().ptr());
  return texts;
}

nb::list all_names_of(const UnitBatch& batch) {
  nb::list texts;
  for (const UnitBatch::Unit& unit : batch.units)
    for (const nnr::syntax::Bytes name : unit.walked.coded.data.names) texts.append(text_of(name));
  return texts;
}

}  // namespace

void register_units(nb::module_& m) {
  nb::class_<UnitFault>(m, "Fault")
      .def_prop_ro("status", [](const UnitFault& self) { return name_of(self.fault.status); })
      .def_prop_ro("has_payload",
                   [](const UnitFault& self) {
                     return self.fault.stage == NNR_STAGE_PAYLOAD || self.fault.stage == NNR_STAGE_RECONSTRUCTION;
                   })
      .def_prop_ro("bit_offset", [](const UnitFault& self) { return self.fault.bit_offset; })
      .def_prop_ro(
          "unit",
          [](const UnitFault& self) { return self.unit == UnitFault::kWholeStream ? std::optional<std::uint64_t>() : self.unit; })
      .def_prop_ro("tensor",
                   [](const UnitFault& self) {
                     return self.fault.tensor < 0 ? std::optional<int>() : std::optional<int>(self.fault.tensor);
                   })
      .def_prop_ro("element", [](const UnitFault& self) { return self.fault.element; })
      .def_prop_ro("clause", [](const UnitFault& self) { return self.fault.clause; })
      .def_prop_ro("text", [](const UnitFault& self) { return self.fault.text + self.detail; });

  nb::class_<BatchUnit>(m, "DataUnit")
      .def_prop_ro("index", [](const BatchUnit& self) { return self.walked().index; })
      .def_prop_ro("byte_offset", [](const BatchUnit& self) { return self.walked().begin; })
      .def_prop_ro("size_bytes", [](const BatchUnit& self) { return self.walked().size_bytes; })
      .def_prop_ro("is_joined", [](const BatchUnit& self) { return self.walked().coded.is_joined; })
      .def_prop_ro("payload_bytes", [](const BatchUnit& self) { return self.walked().coded.payload.size(); })
      .def_prop_ro("payload_bit_offset",
                   [](const BatchUnit& self) {
                     nnr::Fault place;
                     place.bit_offset = self.walked().coded.payload_bit_offset();
                     return self.batch->placed(self.number, place).fault.bit_offset;
                   })
      .def_prop_ro("payload_type", [](const BatchUnit& self) { return self.walked().coded.payload_type(); })
      .def_prop_ro("output_format",
                   [](const BatchUnit& self) {
                     const auto& header = *self.data().header;
                     return header.has_nnr_decompressed_data_format ? std::optional(header.nnr_decompressed_data_format)
                                                                    : std::nullopt;
                   })
      .def_prop_ro("n_tensors", [](const BatchUnit& self) { return self.data().tensors.size(); })
      .def_prop_ro("dq_flag", [](const BatchUnit& self) { return self.data().header->dq_flag != 0; })
      .def_prop_ro("qp_density",
                   [](const BatchUnit& self) {
                     const nnr::CodedUnit& coded = self.walked().coded;
                     return coded.is_integer() || coded.is_raw() ? std::nullopt : std::optional(coded.quantisation.qp_density);
                   })
      .def_prop_ro(
          "names", [](const BatchUnit& self) { return names_of(self.data()); }, nb::sig("def names(self) -> tuple[str, ...]"))
      .def_prop_ro(
          "shape", [](const BatchUnit& self) { return shape_of(self.data().shape); },
          nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_prop_ro(
          "shapes",
          [](const BatchUnit& self) {
            return by_name(self.data(), [](const nnr::TensorPlan& plan) { return shape_of(plan.shape); });
          },
          nb::sig("def shapes(self) -> tuple[tuple[int, ...], ...]"))
      .def_prop_ro(
          "roles",
          [](const BatchUnit& self) {
            return by_name(self.data(), [](const nnr::TensorPlan& plan) { return nb::str(role_of(plan)); });
          },
          nb::sig("def roles(self) -> tuple[str, ...]"))
      .def_prop_ro(
          "codebooks", [](const BatchUnit& self) { return by_name(self.data(), codebook_of); },
          nb::sig("def codebooks(self) -> tuple[tuple[list[int], int] | None, ...]"));

  nb::class_<UnitBatch>(m, "UnitBatch")
      .def("__len__", [](const UnitBatch& self) { return self.units.size(); })
      .def("__getitem__",
           [](nb::handle self, std::size_t number) {
             const auto* const batch = nb::inst_ptr<UnitBatch>(self);
             if (number >= batch->units.size()) throw nb::index_error();
             return BatchUnit{nb::borrow(self), batch, number};
           })
      .def(
          "__iter__", [](nb::handle self) { return nb::steal(PySeqIter_New(self.ptr())); },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[DataUnit]"))
      .def_prop_ro("n_elements", [](const UnitBatch& self) { return self.n_elements; })
      .def_prop_ro("names", &all_names_of, nb::sig("def names(self) -> list[str]"))
      .def_prop_ro("has_plain_formats",
                   [](const UnitBatch& self) {
                     return std::all_of(self.units.begin(), self.units.end(),
                                        [](const UnitBatch::Unit& unit) { return has_plain_format(unit.walked.coded); });
                   })
      .def("layout", &layout, "dequantize"_a, "float32"_a, "int32"_a,
           nb::sig("def layout(self, dequantize: bool, float32: object, int32: object) -> list[tuple[tuple[int, ...], object]]"))
      .def("__getstate__", &pickled)
      .def("__setstate__", [](UnitBatch& self, const PickledBatch& state) {
        new (&self) UnitBatch({});
        restore(self, state);
      });
}

}  // namespace nnr_bindings
