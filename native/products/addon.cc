/*
 * The products as functions that a WebAssembly module imports: `bind(memory, places)` gives them for one thread's memory, under the
 * names and with the parameters of the routines in src/gmm/kernels that they take the place of.
 */
#include <node_api.h>

#include <cstdint>
#include <cstring>

#include "products.h"

namespace maetok {
namespace {

/** A module's memory and where in it things lie, in the order of `places`: of each function its own. */
struct Bound {
  char* memory;
  int32_t width, tile, means, factors, factorBytes, constants, centred, panel, weighted;
  float dismissed;
};

constexpr size_t PLACES = 9;

template <typename T>
T* at(const Bound& bound, uint32_t address) {
  return reinterpret_cast<T*>(bound.memory + address);
}

template <size_t N>
const Bound& read(napi_env env, napi_callback_info info, int32_t (&numbers)[N]) {
  napi_value values[N];
  size_t count = N;
  void* bound;
  napi_get_cb_info(env, info, &count, values, nullptr, &bound);
  for (size_t i = 0; i < N; i++) napi_get_value_int32(env, values[i], &numbers[i]);
  return *static_cast<Bound*>(bound);
}

/** Distances of the listed rows to component k; keeps each row's likeliest component up to date: see `evaluateList`. */
napi_value evaluate(napi_env env, napi_callback_info info) {
  int32_t numbers[8];
  const Bound& bound = read(env, info, numbers);
  const auto [room, listAt, count, k, rowsAt, distancesAt, bestAt, bestLogAt] = numbers;
  const Products& own = *products();
  const int32_t* list = at<int32_t>(bound, listAt);
  float* column = at<float>(bound, distancesAt) + int64_t(k) * bound.tile;
  int32_t* best = at<int32_t>(bound, bestAt);
  float* bestLog = at<float>(bound, bestLogAt);
  const float constant = at<float>(bound, bound.constants)[k];
  const float* mean = at<float>(bound, bound.means) + int64_t(k) * bound.width;
  const float* factor = at<float>(bound, uint32_t(bound.factors) + uint32_t(k) * uint32_t(bound.factorBytes));
  float* centred = at<float>(bound, uint32_t(room) + bound.centred);
  for (int first = 0; first < count; first += own.most) {
    const int some = count - first < own.most ? count - first : own.most;
    const float* rows[MOST_ROWS];
    float limits[MOST_ROWS];
    float squared[MOST_ROWS];
    for (int i = 0; i < some; i++) {
      const int32_t n = list[first + i];
      rows[i] = at<float>(bound, rowsAt) + int64_t(n) * bound.width;
      limits[i] = ((constant + bound.dismissed) - bestLog[n]) * 2.0f;
    }
    own.distances(some, rows, limits, mean, factor, bound.width, centred, squared);
    for (int i = 0; i < some; i++) {
      const int32_t n = list[first + i];
      column[n] = squared[i];
      const float log = constant - squared[i] * 0.5f;
      if (log > bestLog[n]) {
        bestLog[n] = log;
        best[n] = k;
      }
    }
  }
  return nullptr;
}

/** Adds the products of a panel's rows to a matrix: see `outerProducts`. */
napi_value outer(napi_env env, napi_callback_info info) {
  int32_t numbers[4];
  const Bound& bound = read(env, info, numbers);
  const auto [room, matrix, spread, count] = numbers;
  products()->outer(at<float>(bound, uint32_t(room) + bound.panel), at<float>(bound, uint32_t(room) + bound.weighted),
                    at<double>(bound, matrix), at<double>(bound, spread), count, bound.width);
  return nullptr;
}

/** bind(memory: Uint8Array, places: Int32Array, dismissed: number) → { evaluate, outer } */
napi_value bind(napi_env env, napi_callback_info info) {
  napi_value values[3];
  size_t count = 3;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  void *memory = nullptr, *places = nullptr;
  size_t length = 0;
  double dismissed = 0;
  if (napi_get_typedarray_info(env, values[0], nullptr, nullptr, &memory, nullptr, nullptr) != napi_ok ||
      napi_get_typedarray_info(env, values[1], nullptr, &length, &places, nullptr, nullptr) != napi_ok ||
      napi_get_value_double(env, values[2], &dismissed) != napi_ok || length != PLACES) {
    napi_throw_error(env, nullptr, "bind(memory, places, dismissed) takes typed arrays");
    return nullptr;
  }
  Bound bound;
  bound.memory = static_cast<char*>(memory);
  std::memcpy(&bound.width, places, PLACES * sizeof(int32_t));
  bound.dismissed = static_cast<float>(dismissed);
  napi_value functions;
  napi_create_object(env, &functions);
  const auto add = [&](const char* name, napi_callback body) {
    napi_value function;
    auto* own = new Bound(bound);
    napi_create_function(env, name, NAPI_AUTO_LENGTH, body, own, &function);
    napi_add_finalizer(env, function, own, [](napi_env, void* data, void*) { delete static_cast<Bound*>(data); }, nullptr,
                       nullptr);
    napi_set_named_property(env, functions, name, function);
  };
  add("evaluate", evaluate);
  add("outer", outer);
  return functions;
}

napi_value start(napi_env env, napi_value exports) {
  napi_value function, supported;
  napi_get_boolean(env, products() != nullptr, &supported);
  napi_set_named_property(env, exports, "supported", supported);
  napi_create_function(env, "bind", NAPI_AUTO_LENGTH, bind, nullptr, &function);
  napi_set_named_property(env, exports, "bind", function);
  return exports;
}

NAPI_MODULE(maetok_products, start)

}  // namespace
}  // namespace maetok
