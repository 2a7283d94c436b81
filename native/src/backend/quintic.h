// SPDX-License-Identifier: Apache-2.0
// The odd quintics of the Newton-Schulz iteration, p(s) = a s + b s^3 + c s^5 on singular values s of [0, 1]: the first
// is the polynomial of least distance to 1 over [0.02, 1] (0.846), the second over what that makes of it, [0.154,
// 1.846]. Two polynomials chosen so are the best pair there is for an interval (N. Amsel, D. Persson, C. Musco, R.
// Gower, "The Polar Express", arXiv 2505.16932, section 4). They bring [0.02, 1] into [0.487, 1.513].
//
// Rejected: three times (3.4445, -4.7750, 2.0315) (K. Jordan, Muon, 2024), which bring [0.02, 1] into [0.68, 1.21] and
// trained no faster; other ends of the interval (0.01 and 0.03 are as good, with 0.1 training is slower).
#ifndef LNGD_BACKEND_QUINTIC_H
#define LNGD_BACKEND_QUINTIC_H

namespace lngd {

struct Quintic {
  float a, b, c;
};
constexpr Quintic kFirstQuintic{7.7110f, -22.1138f, 16.2487f}, kSecondQuintic{3.2153f, -2.4112f, 0.5013f};

} // namespace lngd
#endif
