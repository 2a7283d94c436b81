// SPDX-License-Identifier: Apache-2.0
//
// Random numbers of the twin. Philox4x32-10 from the paper's definition, and the noise convention of SAMPLED:
//   counter = {low32(e / 4), high32(e / 4), low32(step), layer}, key = {low32(seed), high32(seed)}, lane e mod 4.
#include <cmath>

#include "reference.hpp"

namespace twin {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u; // golden ratio
    key[1] += 0xBB67AE85u; // sqrt(3) - 1
  }
  return counter;
}

std::array<std::uint32_t, 4> Noise::block(std::uint64_t e) const {
  const std::uint64_t group = e >> 2;
  return philox({static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(group >> 32),
                 static_cast<std::uint32_t>(step), layer},
                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

double Noise::gaussian(std::uint64_t e) const {
  const auto u = block(e);
  const std::size_t pair = (e & 3) / 2 * 2; // lanes (0, 1) or (2, 3)
  const double x = (u[pair] + 0.5) * 0x1p-32;
  const double y = u[pair + 1] * 0x1p-32;
  const double radius = std::sqrt(-2 * std::log(x));
  const double angle = 2 * 3.14159265358979323846 * y;
  return (e & 1) == 0 ? radius * std::cos(angle) : radius * std::sin(angle);
}

double Noise::uniform(std::uint64_t e) const { return (block(e)[e & 3] + 0.5) * 0x1p-32; }

} // namespace twin
