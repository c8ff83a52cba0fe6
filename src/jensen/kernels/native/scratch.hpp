// Memory of passes.
#pragma once

#include <cstddef>
#include <new>

namespace jensen {

// Scratch that is aligned to a cache line and freed by itself.
class Scratch {
  public:
    explicit Scratch(size_t size) : pointer_(::operator new(size, std::align_val_t(64))) {}
    ~Scratch() { ::operator delete(pointer_, std::align_val_t(64)); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    void* get() const { return pointer_; }

  private:
    void* pointer_;
};

}  // namespace jensen
