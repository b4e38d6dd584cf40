// SPDX-License-Identifier: Apache-2.0
// A reader of JSON text that walks over values in order and keeps nothing.
// Source: RFC 8259. Nesting is bounded.
#pragma once

#include <cstdint>
#include <span>

#include "nnr/memory.hpp"

namespace nnr {

// After a fault every function returns false, and so does ok(); status() tells a lack of memory from a damaged text.
class JsonReader {
 public:
  explicit JsonReader(std::span<const std::uint8_t> text) : at_(text.data()), end_(text.data() + text.size()) {}

  [[nodiscard]] bool ok() const { return status_ == NNR_OK; }
  [[nodiscard]] nnr_status status() const { return status_; }
  // Ends the reading, for a caller that cannot go on.
  bool fail(nnr_status status = NNR_MALFORMED) {
    if (ok()) status_ = status;
    at_ = end_;
    return false;
  }
  // True if nothing but space follows.
  [[nodiscard]] bool at_end();

  // Iteration over an object or an array:
  //
  //   for (bool more = json.enter('{'); more; more = json.next('}')) { json.text(...key); json.colon(); ...value }
  //
  // enter() is false for an empty one as well.
  [[nodiscard]] bool enter(char bracket);
  [[nodiscard]] bool next(char bracket);
  bool colon() { return take(':'); }

  // Appends a string in UTF-8 to `text`; false where no string stands, or without memory.
  bool text(const nnr_allocator& allocator, Buffer<char>& text);
  // Skips any value.
  bool skip() { return skip_value(0); }
  // Takes `null` if it stands here.
  bool take_null();

 private:
  void skip_space();
  bool take(char character);
  bool take_word(const char* word);
  bool skip_value(int depth);
  bool skip_number();
  bool hexadecimal(std::uint32_t& code);
  bool escape(const nnr_allocator& allocator, Buffer<char>& text);

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  nnr_status status_ = NNR_OK;
};

}  // namespace nnr
