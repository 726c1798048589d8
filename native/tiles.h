/*
 * Tiles of bfloat16 (Intel's AMX): sixteen rows of 64 bytes. A left operand's tile holds 32 numbers of sixteen rows, a
 * right one's 32 numbers of sixteen columns, which lie in pairs, so that a row of the tile has two numbers of each column.
 */
#pragma once

#include "runtime.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && __has_include(<amxbf16intrin.h>)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define MAETOK_AMX
#define AMX_CODE __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

namespace maetok {

constexpr int64_t TILE_ROWS = 16;
constexpr int64_t TILE_NUMBERS = 32;
/** Bytes from one row of a tile to the next. */
constexpr int64_t TILE_STRIDE = 64;

/** Whether the processor has tiles, and the kernel lets this process use them. */
inline bool hasTiles() {
  constexpr int REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
  static const bool has = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bf16") &&
                          syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
  return has;
}

/* Intrinsics of tiles do not say which memory they read: an empty statement makes the compiler write it before. */

/** Before a thread's work with tiles, all eight of the whole size. */
AMX_CODE inline void beginTiles() {
  struct {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } shapes;
  for (int tile = 0; tile < 8; tile++) {
    shapes.bytes[tile] = TILE_STRIDE;
    shapes.rows[tile] = TILE_ROWS;
  }
  asm volatile("" : : "r"(&shapes) : "memory");
  _tile_loadconfig(&shapes);
}

AMX_CODE inline void endTiles() { _tile_release(); }

/* Sums of 32 × 32 products in tiles 0 to 3, of two left tiles, 4 and 5, above each other and two right ones, 6 and 7, side by side. */

AMX_CODE inline void clearSums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

/** Every row begins with these 32 numbers. */
AMX_CODE inline void beginSums(const float* row) {
  _tile_loadd(0, row, 0);
  _tile_loadd(1, row + TILE_ROWS, 0);
  _tile_loadd(2, row, 0);
  _tile_loadd(3, row + TILE_ROWS, 0);
}

AMX_CODE inline void loadLeft(const void* upper, const void* lower) {
  _tile_loadd(4, upper, TILE_STRIDE);
  _tile_loadd(5, lower, TILE_STRIDE);
}

AMX_CODE inline void loadRight(const void* first, const void* second) {
  _tile_loadd(6, first, TILE_STRIDE);
  _tile_loadd(7, second, TILE_STRIDE);
}

AMX_CODE inline void addProducts() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

/** Rows of the sums are `stride` numbers apart. */
AMX_CODE inline void storeSums(float* sums, int64_t stride) {
  const int64_t bytes = stride * sizeof(float);
  _tile_stored(0, sums, bytes);
  _tile_stored(1, sums + TILE_ROWS, bytes);
  _tile_stored(2, sums + TILE_ROWS * stride, bytes);
  _tile_stored(3, sums + TILE_ROWS * stride + TILE_ROWS, bytes);
}

}  // namespace maetok

#else

namespace maetok {
inline bool hasTiles() { return false; }
}  // namespace maetok

#endif
