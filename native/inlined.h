/* For functions within loops: a compiler that has inlined much in a file stops, and a loop that calls has no vectors. */
#pragma once

#define MAETOK_INLINED inline __attribute__((always_inline))
