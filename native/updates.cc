/* What an optimizer does to all parameters of a network at once, in place. */
#include <cmath>

#include "runtime.h"

namespace maetok {
namespace {

/** How many numbers form one task, whichever tensor they belong to. */
constexpr int64_t CHUNK = 16384;

struct Chunk {
  int64_t tensor, begin, end;
};

std::vector<Chunk> chunksOf(const std::vector<TF_Tensor*>& tensors) {
  std::vector<Chunk> chunks;
  for (size_t i = 0; i < tensors.size(); i++)
    for (int64_t begin = 0; begin < sizeOf(tensors[i]); begin += CHUNK)
      chunks.push_back({static_cast<int64_t>(i), begin, std::min(begin + CHUNK, sizeOf(tensors[i]))});
  return chunks;
}

/** The inputs from `first` on, `count` of them. */
std::vector<TF_Tensor*> inputs(Call& call, int first, int count) {
  std::vector<TF_Tensor*> tensors;
  for (int i = 0; i < count; i++) tensors.push_back(call.input(first + i));
  return tensors;
}

std::vector<float*> pointers(const std::vector<TF_Tensor*>& tensors, const std::vector<TF_Tensor*>& like) {
  std::vector<float*> data;
  for (size_t i = 0; i < tensors.size(); i++) {
    require(sizeOf(tensors[i]) == sizeOf(like[i]), "tensors of one parameter differ in size");
    data.push_back(dataOf<float>(tensors[i]));
  }
  return data;
}

/**
 * AdamW (Kingma & Ba 2015 in the efficient order of section 2; Loshchilov & Hutter 2019). Inputs: N parameters, first
 * moments, second moments and gradients, and the scalars β₁, β₂, step size, ε̂, the factor of the gradients (0 makes them 0,
 * whatever they are) and what decay leaves of a parameter. The first three lists change in place.
 */
void adam(Call& call, const Attributes& attributes) {
  const int n = attributes.count;
  const std::vector<TF_Tensor*> parameters = inputs(call, 0, n);
  const std::vector<float*> p = pointers(parameters, parameters);
  const std::vector<float*> m = pointers(inputs(call, n, n), parameters);
  const std::vector<float*> v = pointers(inputs(call, 2 * n, n), parameters);
  const std::vector<float*> g = pointers(inputs(call, 3 * n, n), parameters);
  const float* s = dataOf<float>(call.input(4 * n));
  require(sizeOf(call.input(4 * n)) == 6, "six scalars expected");
  const float rest1 = 1.0f - s[0], rest2 = 1.0f - s[1], size = s[2], epsilon = s[3], factor = s[4], kept = s[5];
  const std::vector<Chunk> chunks = chunksOf(parameters);
  parallel(chunks.size(), chunks.size() * CHUNK, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const Chunk& chunk = chunks[i];
      float *pp = p[chunk.tensor], *mm = m[chunk.tensor], *vv = v[chunk.tensor];
      const float* gg = g[chunk.tensor];
#pragma omp simd
      for (int64_t c = chunk.begin; c < chunk.end; c++) {
        const float gradient = factor == 0.0f ? 0.0f : gg[c] * factor;
        mm[c] += (gradient - mm[c]) * rest1;
        vv[c] += (gradient * gradient - vv[c]) * rest2;
        pp[c] = pp[c] * kept - mm[c] * size / (std::sqrt(vv[c]) + epsilon);
      }
    }
  });
}

/**
 * SGD with momentum, in one pass and in place, each column with factors of its own: v ← μ v + scale ∘ g, p ← p − rate ∘ v.
 * Inputs: p, v and g [..., c], rate and scale [c], μ.
 */
void momentum(Call& call, const Attributes&) {
  TF_Tensor* parameters = call.input(0);
  TF_Tensor* rates = call.input(3);
  TF_Tensor* scales = call.input(4);
  const std::vector<float*> tables = pointers(inputs(call, 0, 3), {parameters, parameters, parameters});
  float *p = tables[0], *v = tables[1];
  const float* g = tables[2];
  const auto [width, count] = rowsOf(parameters);
  require(sizeOf(rates) == width && sizeOf(scales) == width, "a rate and a scale for each column expected");
  const float *rate = dataOf<float>(rates), *scale = dataOf<float>(scales);
  const float kept = *dataOf<float>(call.input(5));
  parallel(count, sizeOf(parameters), [=, width = width](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      float *pp = p + i * width, *vv = v + i * width;
      const float* gg = g + i * width;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) {
        vv[c] = vv[c] * kept + gg[c] * scale[c];
        pp[c] -= vv[c] * rate[c];
      }
    }
  });
}

/** x ← x + share (target − x), in place. Inputs: N x, N targets, the share. */
void moveTowards(Call& call, const Attributes& attributes) {
  const int n = attributes.count;
  const std::vector<TF_Tensor*> moved = inputs(call, 0, n);
  const std::vector<float*> x = pointers(moved, moved);
  const std::vector<float*> targets = pointers(inputs(call, n, n), moved);
  const float share = *dataOf<float>(call.input(2 * n));
  const std::vector<Chunk> chunks = chunksOf(moved);
  parallel(chunks.size(), chunks.size() * CHUNK, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const Chunk& chunk = chunks[i];
      float* xx = x[chunk.tensor];
      const float* target = targets[chunk.tensor];
#pragma omp simd
      for (int64_t c = chunk.begin; c < chunk.end; c++) xx[c] += share * (target[c] - xx[c]);
    }
  });
}

/** Σ x² over all entries of N tensors, a scalar. Chunks are added up in their order, in float64. */
void sumOfSquares(Call& call, const Attributes& attributes) {
  const std::vector<TF_Tensor*> tensors = inputs(call, 0, attributes.count);
  const std::vector<Chunk> chunks = chunksOf(tensors);
  std::vector<double> sums(chunks.size());
  parallel(chunks.size(), chunks.size() * CHUNK, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      const float* x = dataOf<float>(tensors[chunks[i].tensor]);
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t c = chunks[i].begin; c < chunks[i].end; c++) sum += static_cast<double>(x[c]) * x[c];
      sums[i] = sum;
    }
  });
  double total = 0;
  for (double sum : sums) total += sum;
  *dataOf<float>(call.output(0, TF_FLOAT, {})) = static_cast<float>(total);
}

}  // namespace

void registerUpdates() {
  const char* N = "N: int";
  registerOp("MaetokAdam", {"p: N * float", "m: N * float", "v: N * float", "g: N * float", "scalars: float"}, {}, {N},
             kernel<adam>);
  registerOp("MaetokMomentum",
             {"p: float", "v: float", "g: float", "rate: float", "scale: float", "momentum: float"}, {}, {},
             kernel<momentum>);
  registerOp("MaetokMoveTowards", {"x: N * float", "targets: N * float", "share: float"}, {}, {N},
             kernel<moveTowards>);
  registerOp("MaetokSumOfSquares", {"x: N * float"}, {"sum: float"}, {N}, kernel<sumOfSquares>);
}

}  // namespace maetok
