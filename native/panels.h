/* What products of matrices are made from: operands, packed into panels in the order in which a processor's kernel reads them. */
#pragma once

#include <sys/mman.h>

#include "runtime.h"

namespace maetok {

/** A matrix as rows, or columns, of `depth` numbers each, which are multiplied; one or the other follow each other in memory. */
template <typename T>
struct Operand {
  const T* data;
  int64_t lines, depth;
  /** Numbers of a line follow each other, and lines are `stride` apart; else the other way about. */
  bool deep;
  int64_t stride;

  /** Some of its lines. */
  Operand from(int64_t first, int64_t count) const {
    return {data + (deep ? first * stride : first), std::min(count, lines - first), depth, deep, stride};
  }
};

/** Panels of float32 for vectors, which hold every number; `Panels` has lines (LEFT, RIGHT) and fills panels of so many: `pack<LINES>`. */
template <typename Panels>
struct PanelsForVectors {
  using Number = float;

  static void begin() {}
  static void end() {}

  template <typename T>
  static bool packLeft(const Operand<T>& x, int64_t panel, int64_t step, int64_t steps, float* to) {
    Panels::template pack<Panels::LEFT>(x, panel * Panels::LEFT, step, steps, to);
    return false;
  }
  template <typename T>
  static bool packRight(const Operand<T>& x, int64_t panel, int64_t step, int64_t steps, float* to) {
    Panels::template pack<Panels::RIGHT>(x, panel * Panels::RIGHT, step, steps, to);
    return false;
  }
};

/** Memory for panels, kept from one product to the next: to map it anew would take longer than to fill it. */
class Room {
 public:
  template <typename Number>
  Number* of(int64_t numbers) {
    const size_t needed = (numbers * sizeof(Number) + HUGE - 1) / HUGE * HUGE;
    if (needed > bytes_) {
      if (bytes_ > 0) munmap(memory_, bytes_);
      bytes_ = 0;
      memory_ = mmap(nullptr, needed, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      require(memory_ != MAP_FAILED, "no memory for a product's panels");
      bytes_ = needed;
#if defined(MADV_HUGEPAGE)
      madvise(memory_, bytes_, MADV_HUGEPAGE);
#endif
    }
    return static_cast<Number*>(memory_);
  }

 private:
  static constexpr size_t HUGE = 2 << 20;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

/** Each thread's, for a group of panels. */
inline Room& groupRoom() {
  static thread_local Room room;
  return room;
}

/** Each thread's, for the other operand of a product that it makes alone. */
inline Room& otherRoom() {
  static thread_local Room room;
  return room;
}

/** For panels that all threads share; TensorFlow.js calls from one thread. */
inline Room& commonRoom() {
  static Room room;
  return room;
}

}  // namespace maetok
