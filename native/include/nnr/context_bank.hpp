// SPDX-License-Identifier: Apache-2.0
// The context models of one tensor, indexed as in ContextLayout. `Context` is ContextModel or FastContext.
// The bank grows to the highest index initialised; using a context before its initialise() is a caller's fault.
// Clause: format 5.2.
#pragma once

#include <cassert>
#include <cstddef>
#include <vector>

namespace nnr {

template <class Context>
class ContextBank {
 public:
  explicit ContextBank(std::size_t capacity) { contexts_.reserve(capacity); }

  [[nodiscard]] Context& operator[](int index) {
    assert(index >= 0 && static_cast<std::size_t>(index) < contexts_.size());
    return contexts_[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] Context* begin() { return contexts_.data(); }

  void initialise(int context, int initialisation) {
    assert(context >= 0);
    const auto place = static_cast<std::size_t>(context);
    if (place >= contexts_.size()) contexts_.resize(place + 1);
    contexts_[place].initialise(initialisation);
  }

  // Returns every context to its initialisation, as at the start of a block row.
  void reset() {
    for (Context& context : contexts_) context.reset();
  }

 private:
  std::vector<Context> contexts_;
};

}  // namespace nnr
