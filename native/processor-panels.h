/* Which panels this processor multiplies: in tiles where it has them, else in vectors. */
#pragma once

#include "tile-panels.h"
#include "vector-panels.h"
#include "wide-panels.h"

namespace maetok {

/** Calls body(panels) with those of float32 operands as such (SINGLE), or rounded to bfloat16. @throws where it has none. */
template <bool SINGLE, typename Body>
void withPanels(Body body) {
#if defined(MAETOK_AMX)
  if (hasTiles()) return body(TilePanels<SINGLE ? 3 : 1>());
#endif
#if defined(MAETOK_WIDE_VECTORS)
  if (!SINGLE && hasPairs()) return body(WidePanels<Pairs>());
  return body(WidePanels<Singles<!SINGLE>>());
#elif defined(MAETOK_VECTORS)
  return body(VectorPanels<!SINGLE>());
#endif
  throw std::runtime_error("no products of our own for this processor");
}

}  // namespace maetok
