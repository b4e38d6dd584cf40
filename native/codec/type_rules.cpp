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
  label.text = text;
  label.is_scalar = text.ends_with(kScalar);
  if (label.is_scalar) text.remove_suffix(kScalar.size());
  label.tag = text;
  label.type = type_of_tag(text);
  return label;
}

void emit(const DescriptionListener& listener, DescriptionListener::Member member, std::string_view text) {
  if (listener.take != nullptr) listener.take(listener.opaque, member, text);
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

nnr_status TypeRules::read(std::span<const std::uint8_t> octets, const DescriptionListener& listener) {
  if (!syntax::is_utf8(octets)) return NNR_MALFORMED;
  JsonReader json(octets);
  if (read_description(json, listener)) return NNR_OK;
  return json.ok() ? NNR_MALFORMED : json.status();
}

bool TypeRules::read_description(JsonReader& json, const DescriptionListener& listener) {
  bool is_read = false;
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view key;
    if (!read_text(json, key) || !json.colon()) return false;
    if (key == "nnr_codec.source")
      is_read = read_members(json, listener);
    else
      json.skip();
  }
  return is_read && json.at_end();
}

bool TypeRules::read_members(JsonReader& json, const DescriptionListener& listener) {
  clear();
  emit(listener, DescriptionListener::Member::kKind, "");
  emit(listener, DescriptionListener::Member::kMetadata, "");
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view key, text;
    bool is_read = read_text(json, key) && json.colon();
    if (key == "type") {
      is_read = is_read && read_text(json, text);
      if (is_read && !keep(text, default_)) return json.fail(NNR_MEMORY);
    } else if (key == "kind") {
      is_read = is_read && read_text(json, text);
      if (is_read) emit(listener, DescriptionListener::Member::kKind, text);
    } else if (key == "suffixes" || key == "names") {
      is_read = is_read && read_rules(json, key == "names" ? names_ : suffixes_);
    } else if (key == "metadata") {
      is_read = is_read && read_metadata(json, listener);
    } else {
      is_read = is_read && json.skip();
    }
    if (!is_read) return false;
  }
  return json.ok();
}

bool TypeRules::read_metadata(JsonReader& json, const DescriptionListener& listener) {
  emit(listener, DescriptionListener::Member::kMetadata, "");
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view text;
    if (!read_text(json, text) || !json.colon()) return false;
    emit(listener, DescriptionListener::Member::kKey, text);
    const bool is_carried = json.take_null();
    if (!is_carried && !read_text(json, text)) return false;
    emit(listener, is_carried ? DescriptionListener::Member::kCarriedValue : DescriptionListener::Member::kValue, text);
  }
  return json.ok();
}

bool TypeRules::read_rules(JsonReader& json, RuleSet& set) {
  // A later member of the same key replaces an earlier one.
  set.rules.clear();
  set.index.clear();
  for (bool more = json.enter('{'); more; more = json.next('}')) {
    std::string_view text;
    if (!read_text(json, text) || !json.colon()) return false;
    Text label;
    if (!keep(text, label)) return json.fail(NNR_MEMORY);
    for (bool another = json.enter('['); another; another = json.next(']')) {
      if (!read_text(json, text)) return false;
      if (!add(set, text, label)) return json.fail(NNR_MEMORY);
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

bool TypeRules::keep(std::string_view text, Text& kept) {
  kept = {texts_.size(), text.size()};
  return texts_.append(allocator_, text);
}

bool TypeRules::add(RuleSet& set, std::string_view text, Text label) {
  Text kept;
  if (!keep(text, kept) || !set.rules.append(allocator_, {kept, label})) return false;
  const auto same = [&](std::size_t place) { return view_of(set.rules[place].text) == view_of(kept); };
  return set.index.set(allocator_, set.index.hash(texts_.data() + kept.begin, kept.size), set.rules.size() - 1, same);
}

bool TypeRules::add(Scope scope, std::string_view text, std::string_view label) {
  if (scope == Scope::kAll) return keep(label, default_);
  Text kept;
  return keep(label, kept) && add(scope == Scope::kName ? names_ : suffixes_, text, kept);
}

const TypeRules::Rule* TypeRules::find(const RuleSet& set, std::string_view text) const {
  const std::size_t place =
      set.index.find(set.index.hash(text.data(), text.size()), [&](std::size_t i) { return view_of(set.rules[i].text) == text; });
  return place == HashIndex::kAbsent ? nullptr : &set.rules[place];
}

bool TypeRules::label(std::string_view name, TypeLabel& label) {
  label = label_of(view_of(default_));
  if (const Rule* const rule = find(names_, name); rule != nullptr) {
    label = label_of(view_of(rule->label));
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
      label = label_of(view_of(rule->label));
    if (begin == 0) break;
    --begin;
  }
  return true;
}

}  // namespace nnr
