// Freed<fn>: a unique_ptr deleter for handles of C libraries; the pointer keeps the size of a pointer.
#pragma once

#include <memory>

namespace lt {

template <auto free_function>
struct Freed {
  template <class T>
  void operator()(T* handle) const {
    free_function(handle);
  }
};

template <class T, auto free_function>
using Handle = std::unique_ptr<T, Freed<free_function>>;

}  // namespace lt
