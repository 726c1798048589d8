/* Products of operands that are packed once and multiplied many times. */
#pragma once

#include "panel-product.h"

namespace maetok {

/** Memory cut into parts; without any it tells how much they need. */
class Parts {
 public:
  explicit Parts(char* memory) : memory_(memory) {}
  template <typename Number>
  Number* take(int64_t numbers) {
    char* part = memory_ == nullptr ? nullptr : memory_ + taken_;
    taken_ += pieces(numbers * sizeof(Number), 64) * 64;
    return reinterpret_cast<Number*>(part);
  }
  int64_t taken() const { return taken_; }

 private:
  char* memory_;
  int64_t taken_ = 0;
};

/** Calls plan(parts) once to find out how much memory it needs, and once to give it that of the room. */
template <typename Plan>
void planned(Room& room, Plan plan) {
  Parts needed(nullptr);
  plan(needed);
  Parts given(room.of<char>(needed.taken()));
  plan(given);
}

/** A packed operand: panels of `lines` lines each. */
template <typename Panels, bool LEFT>
struct Packed {
  using Number = typename Panels::Number;
  static constexpr int64_t LINES = LEFT ? Panels::LEFT : Panels::RIGHT;
  static constexpr int64_t STEP = LEFT ? Panels::LEFT_STEP : Panels::RIGHT_STEP;

  Number* data = nullptr;
  int64_t lines = 0, steps = 0;
  /** Whether it has numbers that panels cannot hold. */
  bool odd = false;

  void reserve(Parts& parts, int64_t lines, int64_t depth) {
    data = parts.take<Number>(pieces(lines, LINES) * pieces(depth, Panels::DEPTH) * STEP);
  }
  int64_t panels() const { return pieces(lines, LINES); }
  const Number* panel(int64_t i) const { return data + i * steps * STEP; }

  template <typename T>
  void pack(const Operand<T>& x) {
    lines = x.lines;
    steps = pieces(x.depth, Panels::DEPTH);
    for (int64_t i = 0; i < panels(); i++) {
      Number* to = data + i * steps * STEP;
      if (LEFT ? Panels::packLeft(x, i, 0, steps, to) : Panels::packRight(x, i, 0, steps, to)) odd = true;
    }
  }
};

/** Sums of products, [lines of whole left panels, `stride`: those of whole right ones]. */
struct Sums {
  float* data = nullptr;
  int64_t stride = 0;
  float* row(int64_t i) const { return data + i * stride; }
};

template <typename Panels>
void reserveSums(Parts& parts, Sums& sums, int64_t rows, int64_t columns) {
  sums.stride = pieces(columns, Panels::RIGHT) * Panels::RIGHT;
  sums.data = parts.take<float>(pieces(rows, Panels::LEFT) * Panels::LEFT * sums.stride);
}

/** left · rightᵀ in the place of the sums, or added to them; of a `triangle` panels that lie above the diagonal are left out. */
template <bool ADDS, typename Panels>
void multiplyPacked(const Packed<Panels, true>& left, const Packed<Panels, false>& right, const Sums& sums,
                    bool triangle = false) {
  constexpr int64_t L = Panels::LEFT, R = Panels::RIGHT;
  for (int64_t j = 0; j < right.panels(); j++)
    for (int64_t i = triangle ? j * R / L : 0; i < left.panels(); i++) {
      float* to = sums.row(i * L) + j * R;
      if (!ADDS) {
        Panels::multiply(left.panel(i), right.panel(j), left.steps, nullptr, to, sums.stride);
        continue;
      }
      alignas(64) float more[L * R];
      Panels::multiply(left.panel(i), right.panel(j), left.steps, nullptr, more, R);
      putSums<false, R>(more, to, sums.stride, L, R);
    }
}

}  // namespace maetok
