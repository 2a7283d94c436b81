// SPDX-License-Identifier: Apache-2.0
// Where the inverses of all layers lie: one buffer, in which the layers of an owner lie side by side, so that handing
// them to the other ranks is one broadcast, in place. A range for each owner:
//
//   heads of its layers | for each of its layers: lambdas, inverses, and what EKFAC has besides
//
// The heads come first and together, so that the host reads what an owner says in one copy. (A copy of the inverses
// into a buffer for the network was rejected: it would be as large again.)
#ifndef LNGD_OPTIMIZER_INVERSES_H
#define LNGD_OPTIMIZER_INVERSES_H

#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace lngd {

// What a layer's record says of its inverses, as its owner publishes it. Plain data, one cache line.
struct InverseHead {
  int64_t exchange; // which one it was published for: steps of all layers, and 1
  int32_t layer;
  int32_t has_inverse;
  int32_t last_failed_block;
  int32_t last_failed_pivot;
  int64_t inverse_updates;
  int64_t retries;
  int64_t failed_inverses;
  double lambda_psi;
  int64_t reserved;
};
static_assert(sizeof(InverseHead) == 64, "the arrays behind the heads begin at cache lines");

struct InversesLayout {
  // Arrays of a layer, in their order; a layer has no floats of those that do not concern it.
  enum Array {
    kLambdaPhi,
    kLambdaSecond,
    kPhiInverse,
    kPsiInverse,
    kSecondInverse,
    kBasisValues,
    kScales, // restarted by an inversion
    kArrays
  };
  struct Range {
    int64_t offset = 0, count = 0; // in floats
  };
  struct OfLayer {
    int64_t head = 0; // its offset
    std::array<Range, kArrays> arrays;
    int64_t floats = 0; // in all, its head and padding included
  };
  struct OfOwner {
    int32_t owner;
    Range range;
    std::vector<int32_t> layers; // in the order of their heads, which the range begins with
  };
  std::vector<OfLayer> layers;
  std::vector<OfOwner> owners; // those that have layers, by their numbers
  int64_t floats = 0;

  // owners[i]: of layer i; of a parameter it does not matter.
  InversesLayout(const std::vector<const LayerShape*>& shapes, const std::vector<int32_t>& owners);

  // The arrays of a layer in a buffer of this layout.
  void point(int32_t layer, float* buffer, LayerMemory& memory) const;
};

// Floating-point operations of one inversion of a layer, counted.
double inverse_operations(const LayerShape& shape, bool triangles);

} // namespace lngd
#endif
