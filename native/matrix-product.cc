/* Products of matrices, in tiles where the processor has them, else in vectors: see processor-panels.h. */
#include "functions.h"
#include "panel-product.h"
#include "processor-panels.h"

#include <cmath>

namespace maetok {
namespace {

/** Matrices of a tensor, along its last two axes. */
struct Matrices {
  int64_t count, rows, columns;
};

Matrices matricesOf(const TF_Tensor* tensor) {
  const std::vector<int64_t> shape = shapeOf(tensor);
  require(shape.size() >= 2, "matrices expected");
  const int64_t columns = shape.back(), rows = shape[shape.size() - 2];
  return {rows * columns > 0 ? sizeOf(tensor) / (rows * columns) : 0, rows, columns};
}

float numberAt(const Operand<float>& x, int64_t line, int64_t k) {
  return x.data[x.deep ? line * x.stride + k : k * x.stride + line];
}

/** Which lines have a number that no parts in bfloat16 sum to: that is infinite, none, or so large that it is rounded to infinity. */
std::vector<uint8_t> oddLines(const Operand<float>& x) {
  constexpr float TOO_LARGE = 0x1.ffp127f;
  std::vector<uint8_t> odd(x.lines);
  parallel(x.lines, x.lines * x.depth, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; line++)
      for (int64_t k = 0; k < x.depth; k++)
        if (!(std::fabs(numberAt(x, line, k)) < TOO_LARGE)) odd[line] = 1;
  });
  return odd;
}

/** Makes the rows and columns of such lines anew, by the definition; others are as they would be without them. */
void multiplyOddLines(const Operand<float>& left, const Operand<float>& right, const float* bias, float* result,
                      Finish<float> finish) {
  const std::vector<uint8_t> rows = oddLines(left), columns = oddLines(right);
  parallel(left.lines, left.lines * right.lines * left.depth, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t j = 0; j < right.lines; j++) {
        if (!rows[i] && !columns[j]) continue;
        float& sum = result[i * right.lines + j];
        sum = bias ? bias[j] : 0;
        for (int64_t k = 0; k < left.depth; k++) sum += numberAt(left, i, k) * numberAt(right, j, k);
        if (finish != nullptr) finish(&sum, 1);
      }
  });
}

/** What is multiplied: either operand may be turned, and a bias [n, up to a multiple of PADDING] is added to every row. */
struct Factors {
  const TF_Tensor *a, *b;
  bool turnA, turnB;
  const float* bias;
  /** Of each number of the result: see `withActivation`. */
  int32_t activation;
};

template <typename Out>
Finish<Out> finishOf(int32_t activation) {
  Finish<Out> finish = nullptr;
  if (activation != 0)
    withActivation(activation, [&](auto f) {
      finish = [](Out* sums, int64_t count) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++) store(sums + i, decltype(f)::value(load(sums[i])));
      };
    });
  return finish;
}

/** A multiple of all panels' columns. */
constexpr int64_t PADDING = 32;

template <typename Panels, typename T, typename U, typename Out>
void multiplyAll(const Factors& factors, Out* results) {
  const auto [a, b, turnA, turnB, bias, activation] = factors;
  const Finish<Out> finish = finishOf<Out>(activation);
  const Matrices x = matricesOf(a), y = matricesOf(b);
  const auto leftOf = [&, a = a, turnA = turnA](int64_t i) {
    const T* data = dataOf<T>(a) + i * x.rows * x.columns;
    return Operand<T>{data, turnA ? x.columns : x.rows, turnA ? x.rows : x.columns, !turnA, x.columns};
  };
  const auto rightOf = [&, b = b, turnB = turnB](int64_t i) {
    const U* data = dataOf<U>(b) + i * y.rows * y.columns;
    return Operand<U>{data, turnB ? y.rows : y.columns, turnB ? y.columns : y.rows, turnB, y.columns};
  };
  const int64_t size = leftOf(0).lines * rightOf(0).lines;
  std::vector<uint8_t> odd(x.count);
  if (x.count > 1 && panelBytes<Panels>(leftOf(0), rightOf(0)) <= SMALL)
    parallel(x.count, x.count * size, [&, bias = bias](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        odd[i] = !multiplyAlone<Panels>(leftOf(i), rightOf(i), bias, results + i * size, finish);
    });
  else
    for (int64_t i = 0; i < x.count; i++)
      odd[i] = !multiplyTogether<Panels>(leftOf(i), rightOf(i), bias, results + i * size, finish);
  if constexpr (std::is_same<T, float>::value && std::is_same<U, float>::value && std::is_same<Out, float>::value)
    for (int64_t i = 0; i < x.count; i++)
      if (odd[i]) multiplyOddLines(leftOf(i), rightOf(i), bias, results + i * size, finish);
}

/** Calls body with a value of each operand's type. */
template <typename Body>
void withTypes(const TF_Tensor* a, const TF_Tensor* b, Body body) {
  withType(TF_TensorType(a), [&](auto x) { withType(TF_TensorType(b), [&](auto y) { body(x, y); }); });
}

/** `single`: float32 operands as such; else operands of either type, rounded to bfloat16. */
void multiply(const Factors& factors, bool single, TF_Tensor* out) {
  if (single)
    return withPanels<true>(
        [&](auto panels) { multiplyAll<decltype(panels), float, float>(factors, dataOf<float>(out)); });
  withPanels<false>([&](auto panels) {
    withType(TF_TensorType(out), [&](auto z) {
      using Out = decltype(z);
      withTypes(factors.a, factors.b, [&](auto x, auto y) {
        multiplyAll<decltype(panels), decltype(x), decltype(y)>(factors, dataOf<Out>(out));
      });
    });
  });
}

/**
 * f(a [..., m, k] · b [..., k, n] + bias), with a bias [n] and an activation if there are any, either operand turned where asked. Two
 * float32 operands are multiplied as such, unless they are to be `rounded` to bfloat16 first, as other operands are.
 */
void matrixProduct(Call& call, const Attributes& attributes) {
  TF_Tensor* a = call.input(0);
  TF_Tensor* b = call.input(1);
  const bool turnA = attributes.turnA != 0, turnB = attributes.turnB != 0;
  const Matrices x = matricesOf(a), y = matricesOf(b);
  require(x.count == y.count && (turnA ? x.rows : x.columns) == (turnB ? y.columns : y.rows), "shapes do not match");
  std::vector<int64_t> shape = shapeOf(a);
  shape[shape.size() - 2] = turnA ? x.columns : x.rows;
  shape.back() = turnB ? y.rows : y.columns;
  const bool single = TF_TensorType(a) == TF_FLOAT && TF_TensorType(b) == TF_FLOAT && attributes.rounded == 0;
  require(!single || attributes.out == TF_FLOAT, "a float32 product is float32");
  TF_Tensor* out = call.output(0, attributes.out, shape);
  if (sizeOf(out) == 0) return;
  std::vector<float> bias;
  if (attributes.count > 0) {
    const TF_Tensor* given = call.input(2);
    require(sizeOf(given) == shape.back(), "the bias does not fit");
    bias.resize(pieces(shape.back(), PADDING) * PADDING);
    std::copy_n(dataOf<float>(given), sizeOf(given), bias.begin());
  }
  multiply({a, b, turnA, turnB, bias.empty() ? nullptr : bias.data(), attributes.activation}, single, out);
}

}  // namespace

void registerMatrixProduct() {
  registerOp("MaetokMatrixProduct", {"a: T", "b: U", "bias: N * float"}, {"product: Tout"},
             {"T: {float, bfloat16}", "U: {float, bfloat16}", "N: int >= 0 = 0", "Tout: {float, bfloat16} = DT_FLOAT",
              "turn_a: int = 0", "turn_b: int = 0", "rounded: int = 0", "activation: int = 0"},
             kernel<matrixProduct>);
}

}  // namespace maetok
