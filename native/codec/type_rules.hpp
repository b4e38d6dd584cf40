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
  std::string_view text;       // lives until the next rule
  std::string_view tag;        // empty where the payload decides
  nnr_type type = NNR_OPAQUE;  // of the tag
  bool is_scalar = false;      // without dimensions; the unit has one

  // False for a tag that names no type with arithmetic.
  [[nodiscard]] bool is_known() const { return tag.empty() || type != NNR_OPAQUE; }
};

// Takes the members of a description that give no types, in order. A value follows its key. kMetadata begins the metadata: a
// later member of the same key replaces an earlier one.
struct DescriptionListener {
  enum class Member : std::uint8_t { kKind, kMetadata, kKey, kValue, kCarriedValue };
  void (*take)(void* opaque, Member member, std::string_view text) = nullptr;
  void* opaque = nullptr;
};

class TypeRules {
 public:
  enum class Scope : std::uint8_t { kAll, kSuffix, kName };

  explicit TypeRules(const nnr_allocator& allocator) : allocator_(allocator) {}

  void clear();
  // True for a topology unit that holds a description.
  [[nodiscard]] static bool is_description(std::span<const std::uint8_t> octets);
  // Reads a description: NNR_MALFORMED if it is damaged, NNR_MEMORY without memory.
  [[nodiscard]] nnr_status read(std::span<const std::uint8_t> octets, const DescriptionListener& listener = {});
  // Adds a rule; it replaces one of the same scope and text. False without memory.
  [[nodiscard]] bool add(Scope scope, std::string_view text, std::string_view label);
  // Sets the label of a name: that of the whole name, of its longest suffix, or the default. False without memory.
  [[nodiscard]] bool label(std::string_view name, TypeLabel& label);
  [[nodiscard]] bool empty() const { return default_.size == 0 && suffixes_.rules.size() == 0 && names_.rules.size() == 0; }
  // Calls visit(scope, text, label) for each rule, replaced ones included, in the order of their addition to a scope.
  template <class Visit>
  void for_each(Visit visit) const {
    visit(Scope::kAll, std::string_view(), view_of(default_));
    for (const Rule& rule : suffixes_.rules) visit(Scope::kSuffix, view_of(rule.text), view_of(rule.label));
    for (const Rule& rule : names_.rules) visit(Scope::kName, view_of(rule.text), view_of(rule.label));
  }

 private:
  // A place in texts_.
  struct Text {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  struct Rule {
    Text text;
    Text label;
  };
  // Rules by text.
  struct RuleSet {
    Buffer<Rule> rules;
    HashIndex index;
  };

  [[nodiscard]] bool read_description(JsonReader& json, const DescriptionListener& listener);
  [[nodiscard]] bool read_members(JsonReader& json, const DescriptionListener& listener);
  [[nodiscard]] bool read_metadata(JsonReader& json, const DescriptionListener& listener);
  [[nodiscard]] bool read_rules(JsonReader& json, RuleSet& set);
  [[nodiscard]] bool read_text(JsonReader& json, std::string_view& text);
  [[nodiscard]] std::string_view view_of(Text text) const { return {texts_.data() + text.begin, text.size}; }
  [[nodiscard]] bool keep(std::string_view text, Text& kept);
  [[nodiscard]] bool add(RuleSet& set, std::string_view text, Text label);
  [[nodiscard]] const Rule* find(const RuleSet& set, std::string_view text) const;

  const nnr_allocator& allocator_;
  Buffer<char> texts_;
  Buffer<char> text_;  // the last one read or looked up
  Text default_;
  RuleSet names_;
  RuleSet suffixes_;
};

}  // namespace nnr
