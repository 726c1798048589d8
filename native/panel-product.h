/*
 * A product of matrices whose operands are packed into panels. `Panels` says how: numbers of a panel (`Number`), lines of a left and a
 * right one (LEFT, RIGHT), how far a step goes through the depth (DEPTH) and what it takes of either (LEFT_STEP, RIGHT_STEP), steps
 * that are summed by themselves (USUAL_STEPS), how many bytes of panels stay in a core's cache while others go past (CACHED) and
 * how many panels at most (MOST); `packLeft` and `packRight` fill a panel and tell whether it has numbers that the panels cannot
 * hold, `multiply` sums products, between `begin` and `end`.
 */
#pragma once

#include <atomic>
#include <type_traits>

#include "panels.h"

namespace maetok {

/** Bytes of an operand's panels that all threads share, at most, unless one panel has more. */
constexpr int64_t MOST_PACKED = 32 << 20;

template <typename Out>
using Finish = void (*)(Out* sums, int64_t count);

inline int64_t pieces(int64_t whole, int64_t size) { return (whole + size - 1) / size; }

/** Sums, rows of WIDTH numbers, in their place, whose rows are `stride` apart: the first of them, or more of them. */
template <bool FIRST, int64_t WIDTH, typename Out>
MAETOK_INLINED void putSums(const float* sums, Out* to, int64_t stride, int64_t rows,
                                                   int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
#pragma omp simd
    for (int64_t c = 0; c < columns; c++) {
      const float sum = sums[r * WIDTH + c];
      store(to + r * stride + c, FIRST ? sum : load(to[r * stride + c]) + sum);
    }
}

/**
 * result [left.lines, right.lines], rows `stride` apart. Of two operands the smaller is packed as a whole and shared by all
 * threads; of the larger each thread packs a group of panels that stays in its cache while all of the other's go past. A number of
 * the result is summed in one order whatever the threads and the other rows and columns.
 */
template <typename Panels, typename T, typename U, typename Out>
struct Product {
  using Number = typename Panels::Number;
  static constexpr int64_t LEFT = Panels::LEFT, RIGHT = Panels::RIGHT;

  Operand<T> left;
  Operand<U> right;
  /** What is added to every row of the result, with zeros up to a whole panel; null for nothing. */
  const float* bias;
  Out* result;
  int64_t stride;
  /** The smaller operand's panels. */
  Number* shared;
  /** What happens to numbers of the result that follow each other, once they are sums; null for nothing. */
  Finish<Out> finish;

  static bool sharesLeft(const Operand<T>& left, const Operand<U>& right) { return left.lines < right.lines; }
  bool sharesLeft() const { return sharesLeft(left, right); }
  int64_t sharedPanels() const { return sharesLeft() ? pieces(left.lines, LEFT) : pieces(right.lines, RIGHT); }
  int64_t groupedPanels() const { return sharesLeft() ? pieces(right.lines, RIGHT) : pieces(left.lines, LEFT); }
  int64_t steps() const { return pieces(left.depth, Panels::DEPTH); }
  /** Numbers of all of the smaller operand's panels. */
  int64_t sharedNumbers() const { return sharedPanels() * sharedSize(); }

  /** Some panels of the smaller operand. */
  bool packShared(int64_t begin, int64_t end) const {
    bool odd = false;
    for (int64_t panel = begin; panel < end; panel++)
      odd |= packOne(sharesLeft(), panel, 0, steps(), shared + panel * sharedSize());
    return odd;
  }

  /** As many groups for each of `threads`, none larger than what stays in a cache. */
  int64_t groups(int64_t threads) const {
    const int64_t bytes = stepsAtOnce() * groupedStep() * sizeof(Number);
    const int64_t most = std::max<int64_t>(2, std::min<int64_t>(Panels::MOST, Panels::CACHED / bytes - 1));
    return std::min(groupedPanels(), threads * pieces(groupedPanels(), threads * most));
  }

  /** What a group of the larger operand's panels has part in; `room` is for their panels. */
  bool multiply(int64_t begin, int64_t end, Room& room) const {
    const int64_t size = stepsAtOnce() * groupedStep();
    Number* own = room.of<Number>((end - begin) * size);
    bool odd = false;
    Panels::begin();
    for (int64_t step = 0; step < steps(); step += stepsAtOnce()) {
      const int64_t count = std::min(stepsAtOnce(), steps() - step);
      for (int64_t i = begin; i < end; i++) odd |= packOne(!sharesLeft(), i, step, count, own + (i - begin) * size);
      for (int64_t j = 0; j < sharedPanels(); j++)
        for (int64_t i = begin; i < end; i++) {
          const Number *mine = own + (i - begin) * size, *other = shared + j * sharedSize() + step * sharedStep();
          if (sharesLeft())
            multiplyPair(j, other, i, mine, step == 0, count);
          else
            multiplyPair(i, mine, j, other, step == 0, count);
        }
    }
    Panels::end();
    if (finish != nullptr) finishGroup(begin, end);
    return odd;
  }

 private:
  int64_t sharedStep() const { return sharesLeft() ? Panels::LEFT_STEP : Panels::RIGHT_STEP; }
  int64_t groupedStep() const { return sharesLeft() ? Panels::RIGHT_STEP : Panels::LEFT_STEP; }
  int64_t sharedSize() const { return steps() * sharedStep(); }

  /** About equal shares of all; bfloat16 results, which would be rounded after each, are summed at once. */
  int64_t stepsAtOnce() const {
    constexpr int64_t USUAL = Panels::USUAL_STEPS;
    const int64_t shares = std::is_same<Out, float>::value ? (steps() + USUAL / 2) / USUAL : 1;
    return shares > 1 ? pieces(steps(), shares) : steps();
  }

  bool packOne(bool ofLeft, int64_t panel, int64_t step, int64_t count, Number* to) const {
    return ofLeft ? Panels::packLeft(left, panel, step, count, to) : Panels::packRight(right, panel, step, count, to);
  }

  void multiplyPair(int64_t i, const Number* a, int64_t j, const Number* b, bool first, int64_t count) const {
    Out* to = result + i * LEFT * stride + j * RIGHT;
    const int64_t rows = std::min(LEFT, left.lines - i * LEFT), columns = std::min(RIGHT, right.lines - j * RIGHT);
    for (int64_t r = 0; r < rows; r++) {
      __builtin_prefetch(to + r * stride, 1);
      __builtin_prefetch(to + r * stride + columns - 1, 1);
    }
    const bool whole = rows == LEFT && columns == RIGHT;
    const float* start = first && bias ? bias + j * RIGHT : nullptr;
    if constexpr (std::is_same<Out, float>::value)
      if (whole && first) return Panels::multiply(a, b, count, start, to, stride);
    alignas(64) float sums[LEFT * RIGHT];
    Panels::multiply(a, b, count, start, sums, RIGHT);
    // Of constant size, so that compilers make vector code of it.
    const auto put = [&](int64_t some, int64_t wide) __attribute__((always_inline)) {
      first ? putSums<true, RIGHT>(sums, to, stride, some, wide) : putSums<false, RIGHT>(sums, to, stride, some, wide);
    };
    whole ? put(LEFT, RIGHT) : put(rows, columns);
  }

  /** While it is still in a cache. */
  void finishGroup(int64_t begin, int64_t end) const {
    const int64_t firstRow = sharesLeft() ? 0 : begin * LEFT, firstColumn = sharesLeft() ? begin * RIGHT : 0;
    const int64_t rows = sharesLeft() ? left.lines : std::min(end * LEFT, left.lines);
    const int64_t columns = (sharesLeft() ? std::min(end * RIGHT, right.lines) : right.lines) - firstColumn;
    for (int64_t row = firstRow; row < rows; row++) finish(result + row * stride + firstColumn, columns);
  }
};

/** One product, all threads at it; false where panels cannot hold all numbers, whose rows and columns are wrong then. */
template <typename Panels, typename T, typename U, typename Out>
bool multiplyTogether(const Operand<T>& left, const Operand<U>& right, const float* bias, Out* result,
                      Finish<Out> finish) {
  using Whole = Product<Panels, T, U, Out>;
  const bool sharesLeft = Whole::sharesLeft(left, right);
  const int64_t lines = sharesLeft ? Panels::LEFT : Panels::RIGHT;
  const int64_t step = sharesLeft ? Panels::LEFT_STEP : Panels::RIGHT_STEP;
  const int64_t bytes = pieces(left.depth, Panels::DEPTH) * step * sizeof(typename Panels::Number);
  const int64_t most = std::max<int64_t>(1, MOST_PACKED / bytes) * lines;
  std::atomic<bool> odd{false};
  for (int64_t first = 0; first < (sharesLeft ? left.lines : right.lines); first += most) {
    Whole part{left, right, bias, result, right.lines, nullptr, finish};
    if (sharesLeft) {
      part.left = left.from(first, most);
      part.result += first * part.stride;
    } else {
      part.right = right.from(first, most);
      part.result += first;
      if (bias) part.bias += first;
    }
    part.shared = commonRoom().of<typename Panels::Number>(part.sharedNumbers());
    parallel(part.sharedPanels(), part.sharedNumbers(), [&](int64_t begin, int64_t end) {
      if (part.packShared(begin, end)) odd = true;
    });
    const int64_t groups = part.groups(cores()), panels = part.groupedPanels();
    parallel(groups, part.left.lines * part.right.lines * left.depth / 32, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; group++)
        if (part.multiply(panels * group / groups, panels * (group + 1) / groups, groupRoom())) odd = true;
    });
  }
  return !odd;
}

/** One product on this thread. */
template <typename Panels, typename T, typename U, typename Out>
bool multiplyAlone(const Operand<T>& left, const Operand<U>& right, const float* bias, Out* result,
                   Finish<Out> finish) {
  Product<Panels, T, U, Out> product{left, right, bias, result, right.lines, nullptr, finish};
  product.shared = otherRoom().of<typename Panels::Number>(product.sharedNumbers());
  bool odd = product.packShared(0, product.sharedPanels());
  const int64_t groups = product.groups(1), panels = product.groupedPanels();
  for (int64_t group = 0; group < groups; group++)
    odd |= product.multiply(panels * group / groups, panels * (group + 1) / groups, groupRoom());
  return !odd;
}

/** Bytes of a product's panels up to which each thread takes products of its own. */
constexpr int64_t SMALL = 8 << 20;

template <typename Panels, typename T, typename U>
int64_t panelBytes(const Operand<T>& left, const Operand<U>& right) {
  const int64_t a = pieces(left.lines, Panels::LEFT) * Panels::LEFT_STEP;
  const int64_t b = pieces(right.lines, Panels::RIGHT) * Panels::RIGHT_STEP;
  return (a + b) * pieces(left.depth, Panels::DEPTH) * sizeof(typename Panels::Number);
}

}  // namespace maetok
