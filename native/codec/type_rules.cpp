// SPDX-License-Identifier: Apache-2.0
#include "type_rules.hpp"

#include <algorithm>

#include "element_types.hpp"
#include "parser.hpp"

namespace nnr {

namespace {

constexpr std::string_view kStart = "{\"nnr_codec.source\":";
constexpr std::string_view kScalar = "()";
constexpr int kMaxComponents = 3;

TypeLabel label_of(std::string_view text) {
  TypeLabel label;
  if (text.ends_with(kScalar)) {
    label.is_scalar = true;
    text.remove_suffix(kScalar.size());
  }
  label.is_typed = !text.empty();
  label.type = type_of_tag(text);
  label.is_known = !label.is_typed || label.type != NNR_OPAQUE;
  return label;
}

}  // namespace

void TypeRules::clear() {
  texts_.clear();
  default_ = {};
  for (RuleSet* const set : {&names_, &suffixes_}) {
    set->rules.clear();
    set->index.clear();
  }
}

bool TypeRules::is_description(std::span<const std::uint8_t> octets) {
  return octets.size() >= kStart.size() && std::equal(kStart.begin(), kStart.end(), octets.begin());
}

nnr_status TypeRules::read(std::span<const std::uint8_t> octets) {
  if (!syntax::is_utf8(octets)) return NNR_MALFORMED;
  JsonReader json(octets);
  if (read_description(json)) return NNR_OK;
  return json.ok() ? NNR_MALFORMED : json.status();
}

bool TypeRules::read_description(JsonReader& json) {
  bool is_read = false;
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view key;
    if (!read_text(json, key) || !json.colon()) return false;
    if (key == "nnr_codec.source")
      is_read = read_members(json);
    else
      json.skip();
  }
  return is_read && json.at_end();
}

bool TypeRules::read_members(JsonReader& json) {
  clear();
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view key, text;
    bool is_read = read_text(json, key) && json.colon();
    if (key == "type") {
      is_read = is_read && read_text(json, text);
      default_ = label_of(text);
    } else if (key == "kind") {
      is_read = is_read && read_text(json, text);
    } else if (key == "suffixes" || key == "names") {
      is_read = is_read && read_rules(json, key == "names" ? names_ : suffixes_);
    } else if (key == "metadata") {
      is_read = is_read && read_metadata(json);
    } else {
      is_read = is_read && json.skip();
    }
    if (!is_read) return false;
  }
  return json.ok();
}

bool TypeRules::read_metadata(JsonReader& json) {
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view text;
    if (!read_text(json, text) || !json.colon()) return false;
    // The values that are null are in carriers.
    if (!json.take_null() && !read_text(json, text)) return false;
  }
  return json.ok();
}

bool TypeRules::read_rules(JsonReader& json, RuleSet& set) {
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view text;
    if (!read_text(json, text) || !json.colon()) return false;
    const TypeLabel label = label_of(text);
    for (bool another = json.enter('['); another; another = json.next(']')) {
      if (!read_text(json, text)) return false;
      const std::size_t begin = texts_.size();
      if (!texts_.append(allocator_, text) || !set.rules.append(allocator_, {begin, text.size(), label}))
        return json.fail(NNR_MEMORY);
      // A later rule of the same text replaces an earlier one.
      const std::string_view kept{texts_.data() + begin, text.size()};
      const auto same = [&](std::size_t place) {
        const Rule& rule = set.rules[place];
        return kept == std::string_view{texts_.data() + rule.begin, rule.size};
      };
      const std::uint64_t hash = set.index.hash(kept.data(), kept.size());
      if (!set.index.set(allocator_, hash, set.rules.size() - 1, same)) return json.fail(NNR_MEMORY);
    }
    if (!json.ok()) return false;
  }
  return json.ok();
}

bool TypeRules::read_text(JsonReader& json, std::string_view& text) {
  text_.drop(text_.size());
  if (!json.text(allocator_, text_)) return false;
  text = {text_.data(), text_.size()};
  return true;
}

const TypeRules::Rule* TypeRules::find(const RuleSet& set, std::string_view text) const {
  const std::size_t place = set.index.find(set.index.hash(text.data(), text.size()), [&](std::size_t i) {
    const Rule& rule = set.rules[i];
    return rule.size == text.size() && std::equal(text.begin(), text.end(), texts_.data() + rule.begin);
  });
  return place == HashIndex::kAbsent ? nullptr : &set.rules[place];
}

bool TypeRules::label(std::string_view name, TypeLabel& label) {
  label = default_;
  if (const Rule* const rule = find(names_, name); rule != nullptr) {
    label = rule->label;
    return true;
  }
  if (suffixes_.rules.size() == 0) return true;
  text_.drop(text_.size());
  if (!text_.append(allocator_, name)) return false;
  std::replace(text_.begin(), text_.end(), '/', '.');
  const std::string_view dotted{text_.data(), text_.size()};
  // Longer suffixes are tried later and prevail.
  std::size_t begin = dotted.size();
  for (int n_components = 1; n_components <= kMaxComponents; ++n_components) {
    while (begin > 0 && dotted[begin - 1] != '.') --begin;
    if (const Rule* const rule = find(suffixes_, {dotted.data() + begin, dotted.size() - begin}); rule != nullptr)
      label = rule->label;
    if (begin == 0) break;
    --begin;
  }
  return true;
}

}  // namespace nnr
