// SPDX-License-Identifier: Apache-2.0
// conv_loader.cuh on the host: where the columns of a tile go.
#include <vector>

#include "backend/cuda/conv_loader.cuh"
#include "harness.hpp"

// Places of a tile's columns: each once, copies of 16 bytes aligned and of one kernel element, as many as there can be.
TEST(conv_loader_places) {
  using Places = lngd::cuda::ConvLoader::Places;
  long wrong = 0;
  for (const int taps : {2, 4, 9, 25, 49})
    for (const int offset : {0, 6, 12, 13})
      for (const int first : {0, 1, 64, 128, 300})
        for (const int count : {0, 1, 5, 37, 100, 128})
          for (const bool aligned : {true, false}) {
            Places p{taps, offset, first, first + count, aligned, 0};
            int most = 0;
            for (int tap = 0; tap < taps; ++tap) {
              p.quads += (p.range(tap).last - p.range(tap).first) / 4;
              for (int c = 0; aligned && c * taps + tap < first + count; ++c)
                most += (offset + c) % 4 == 0 && c * taps + tap >= first && (c + 3) * taps + tap < first + count;
            }
            wrong += p.quads != most;
            std::vector<int> at(static_cast<size_t>(count), -1);
            for (int j = first; j < first + count; ++j) {
              const lngd::cuda::SyrkPlace place = p.of(j);
              const bool inside = place.position >= 0 && place.position < count;
              wrong += !inside || at[static_cast<size_t>(place.position)] >= 0;
              if (!inside) continue;
              at[static_cast<size_t>(place.position)] = j;
              const bool quad = place.position < 4 * p.quads;
              wrong += place.copy != (quad ? place.position / 4 : place.position - 3 * p.quads);
              wrong += place.begins != (!quad || place.position % 4 == 0);
            }
            for (int q = 0; q < p.quads; ++q)
              for (int e = 0; e < 4; ++e)
                wrong += at[static_cast<size_t>(4 * q + e)] != at[static_cast<size_t>(4 * q)] + e * taps ||
                         (offset + at[static_cast<size_t>(4 * q)] / taps) % 4 != 0;
          }
  CHECK_EQ(wrong, 0);
}
