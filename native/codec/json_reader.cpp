// SPDX-License-Identifier: Apache-2.0
#include "json_reader.hpp"

#include <cstring>

namespace nnr {

namespace {

constexpr int kMaxDepth = 64;
// Characters that stand behind a backslash, besides u.
constexpr char kEscapes[] = "\"\\/bfnrt";

bool append_utf8(const nnr_allocator& allocator, std::uint32_t code, Buffer<char>& text) {
  char octets[4];
  std::size_t n = 0;
  if (code < 0x80) {
    octets[n++] = static_cast<char>(code);
  } else {
    const int n_more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr unsigned kLead[] = {0, 0xC0, 0xE0, 0xF0};
    octets[n++] = static_cast<char>(kLead[n_more] | code >> (6 * n_more));
    for (int i = n_more - 1; i >= 0; --i) octets[n++] = static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
  }
  return text.append(allocator, {octets, n});
}

}  // namespace

void JsonReader::skip_space() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
}

bool JsonReader::at_end() {
  skip_space();
  return ok() && at_ == end_;
}

bool JsonReader::take(char character) {
  skip_space();
  if (at_ == end_ || *at_ != static_cast<std::uint8_t>(character)) return fail();
  ++at_;
  return true;
}

bool JsonReader::enter(char bracket) {
  if (!take(bracket)) return false;
  skip_space();
  // The closing bracket of ASCII stands two behind the opening one.
  if (at_ == end_ || *at_ != static_cast<std::uint8_t>(bracket + 2)) return true;
  ++at_;
  return false;
}

bool JsonReader::next(char bracket) {
  skip_space();
  if (at_ < end_ && *at_ == static_cast<std::uint8_t>(bracket)) {
    ++at_;
    return false;
  }
  return take(',');
}

bool JsonReader::take_word(const char* word) {
  const std::size_t size = std::strlen(word);
  if (static_cast<std::size_t>(end_ - at_) < size || std::memcmp(at_, word, size) != 0) return false;
  at_ += size;
  return true;
}

bool JsonReader::take_null() {
  skip_space();
  return take_word("null");
}

bool JsonReader::hexadecimal(std::uint32_t& code) {
  if (end_ - at_ < 4) return fail();
  code = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t digit = *at_++, letter = digit | 0x20;
    if (digit >= '0' && digit <= '9')
      code = code << 4 | (digit - '0');
    else if (letter >= 'a' && letter <= 'f')
      code = code << 4 | (letter - 'a' + 10);
    else
      return fail();
  }
  return true;
}

bool JsonReader::escape(const nnr_allocator& allocator, Buffer<char>& text) {
  static constexpr char kCharacters[] = "\"\\/\b\f\n\r\t";
  if (at_ == end_) return fail();
  const auto name = static_cast<char>(*at_++);
  if (name == 'u') {
    std::uint32_t code, low;
    if (!hexadecimal(code)) return false;
    const std::uint8_t* const behind = at_;
    if (code >> 10 == 0x36 && take_word("\\u")) {
      if (!hexadecimal(low)) return false;
      if (low >> 10 == 0x37)
        code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
      else
        at_ = behind;
    }
    return append_utf8(allocator, code, text) || fail(NNR_MEMORY);
  }
  const char* const at = name == 0 ? nullptr : std::strchr(kEscapes, name);
  if (at == nullptr) return fail();
  return text.append(allocator, kCharacters[at - kEscapes]) || fail(NNR_MEMORY);
}

bool JsonReader::text(const nnr_allocator& allocator, Buffer<char>& text) {
  if (!take('"')) return false;
  while (at_ < end_) {
    const auto octet = static_cast<char>(*at_++);
    if (octet == '"') return true;
    if (static_cast<std::uint8_t>(octet) < 0x20) break;
    if (octet == '\\' && !escape(allocator, text)) return false;
    if (octet != '\\' && !text.append(allocator, octet)) return fail(NNR_MEMORY);
  }
  return fail();
}

// Python's json also takes NaN and infinities.
bool JsonReader::skip_number() {
  if (take_word("NaN")) return true;
  const auto digits = [this] {
    const std::uint8_t* const first = at_;
    while (at_ < end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ > first;
  };
  take_word("-");
  if (take_word("Infinity")) return true;
  const bool is_zero = at_ < end_ && *at_ == '0';
  if (is_zero ? (++at_, false) : !digits()) return fail();
  if (take_word(".") && !digits()) return fail();
  if (take_word("e") || take_word("E")) {
    if (!take_word("+")) take_word("-");
    if (!digits()) return fail();
  }
  return true;
}

// NOLINTNEXTLINE(misc-no-recursion): kMaxDepth bounds it.
bool JsonReader::skip_value(int depth) {
  skip_space();
  if (at_ == end_ || depth > kMaxDepth) return fail();
  const auto skip_text = [this] {
    for (++at_; at_ < end_ && *at_ != '"'; ++at_) {
      if (*at_ < 0x20) return fail();
      if (*at_ != '\\') continue;
      if (++at_ == end_) return fail();
      if (*at_ != 'u') {
        if (*at_ == 0 || std::strchr(kEscapes, *at_) == nullptr) return fail();
        continue;
      }
      ++at_;
      std::uint32_t code;
      if (!hexadecimal(code)) return false;
      --at_;
    }
    return take('"');
  };
  if (*at_ == '"') return skip_text();
  if (*at_ == '{' || *at_ == '[') {
    const auto bracket = static_cast<char>(*at_);
    for (bool more = enter(bracket); more; more = next(static_cast<char>(bracket + 2))) {
      if (bracket == '{') {
        skip_space();
        if (at_ == end_ || *at_ != '"') return fail();
        if (!skip_text() || !colon()) return false;
      }
      if (!skip_value(depth + 1)) return false;
    }
    return ok();
  }
  return take_word("true") || take_word("false") || take_word("null") || skip_number();
}

}  // namespace nnr
