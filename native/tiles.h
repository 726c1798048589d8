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

}  // namespace maetok

#else

namespace maetok {
inline bool hasTiles() { return false; }
}  // namespace maetok

#endif
