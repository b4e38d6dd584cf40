// SPDX-License-Identifier: Apache-2.0
// The source description: rules that give the data types of tensors by name.
// Source: docs/guide/carriers.md; the JSON members are "type", "suffixes" and "names".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "hash_index.hpp"
#include "json_reader.hpp"
#include "nnr/memory.hpp"

namespace nnr {

// The type of a tensor in its source.
struct TypeLabel {
  nnr_type type = NNR_OPAQUE;
  bool is_typed = false;   // otherwise the payload decides
  bool is_known = true;    // false for a tag that names no type with arithmetic
  bool is_scalar = false;  // without dimensions; the unit has one
};

class TypeRules {
 public:
  explicit TypeRules(const nnr_allocator& allocator) : allocator_(allocator) {}

  void clear();
  // True for a topology unit that holds a description.
  [[nodiscard]] static bool is_description(std::span<const std::uint8_t> octets);
  // Reads a description: NNR_MALFORMED if it is damaged, NNR_MEMORY without memory.
  [[nodiscard]] nnr_status read(std::span<const std::uint8_t> octets);
  // Sets the label of a name: that of the whole name, of its longest suffix, or the default. False without memory.
  [[nodiscard]] bool label(std::string_view name, TypeLabel& label);

 private:
  struct Rule {
    std::size_t begin;
    std::size_t size;
    TypeLabel label;
  };
  // Rules by text.
  struct RuleSet {
    Buffer<Rule> rules;
    HashIndex index;
  };

  [[nodiscard]] bool read_description(JsonReader& json);
  [[nodiscard]] bool read_members(JsonReader& json);
  [[nodiscard]] bool read_metadata(JsonReader& json);
  [[nodiscard]] bool read_rules(JsonReader& json, RuleSet& set);
  [[nodiscard]] bool read_text(JsonReader& json, std::string_view& text);
  [[nodiscard]] const Rule* find(const RuleSet& set, std::string_view text) const;

  const nnr_allocator& allocator_;
  Buffer<char> texts_;
  Buffer<char> text_;  // the last one read or looked up
  TypeLabel default_;
  RuleSet names_;
  RuleSet suffixes_;
};

}  // namespace nnr
