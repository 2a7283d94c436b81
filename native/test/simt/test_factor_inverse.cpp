// SPDX-License-Identifier: Apache-2.0
// factor_inverse of all sizes: the residuals of L and of A^-1 in double precision over families of matrices, retries,
// and what must not change.
#include "factor_fixture.hpp"

namespace {

using namespace fixture;

constexpr DampingRule kRelative = relative(1e-2, 1e-5), kSecond = relative(1e-2, 1e-5, 3),
                      kAbsolute = absolute(1e-5, 1e-2);
// A damping that leaves the condition of 1e6 of Family::Spectrum nearly as it is.
constexpr DampingRule kTiny = absolute(1e-8, 1e-8);

void run(const std::vector<Family>& families, const std::vector<int64_t>& sizes, const DampingRule& rule) {
  Numbers numbers(11);
  FactorSet set;
  for (const int64_t n : factor_sizes(sizes))
    for (const Family family : families) set.add(family, n, numbers);
  set.check(rule, set.run(rule));
}

void prepare() {
  start();
  REQUIRE(lngd::cuda::prepare_factor_inverse() == cudaSuccess);
}

template <class Body>
void each_schedule(Body body) {
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    body();
  }
  simt::set_schedule(simt::Order::Forward);
}

} // namespace

// All sizes in one call, every path at its edges.
TEST(kernel_factor_inverse_sizes) {
  prepare();
  each_schedule([] {
    run({Family::Dense}, {1, 129, 2, 31, 32, 33, 63, 64, 65, 97, 127, 128, 200}, kSecond);
    run({Family::Dense}, {257, 5}, kAbsolute);
  });
}

// The triangles L^-1 in place of the inverses, retries included.
TEST(kernel_factor_inverse_triangles) {
  prepare();
  each_schedule([] {
    Numbers numbers(13);
    FactorSet set;
    set.triangles = true;
    for (const int64_t n : {129, 1, 2, 32, 33, 64, 65, 128, 200, 257}) set.add(Family::Dense, n, numbers);
    for (const int64_t n : {20, 40, 70, 130}) set.add(Family::Indefinite, n, numbers);
    set.add(Family::Hopeless, 40, numbers);
    set.check(kRelative, set.run(kRelative));
  });
}

TEST(kernel_factor_inverse_families) {
  prepare();
  const std::vector<Family> sound = {Family::LowRank, Family::Diagonal, Family::Tridiagonal, Family::RowScaled};
  run({Family::Spectrum}, {2, 32, 64, 100, 128, 200, 300}, kTiny);
  run(sound, {3, 32, 50, 128, 160}, kRelative);
  run(sound, {1, 17, 77, 200}, kAbsolute);
  each_schedule([&] { run(sound, {9, 33, 65}, kRelative); });
}

TEST(kernel_factor_inverse_retries) {
  prepare();
  each_schedule([] { run({Family::Indefinite, Family::Hopeless, Family::NotANumber}, {1, 20, 40, 70}, kRelative); });
}

// Large ones share out their retries. One try more, three more, and all six, beside matrices that need none; a pivot in
// the first panel, in a later one, in the last row.
TEST(kernel_factor_inverse_large_retries) {
  prepare();
  const DampingRule large = relative(0.5, 1e-5);
  each_schedule([&] { run({Family::Indefinite, Family::Dense}, {130, 192}, large); }); // 0.5, 5
  run({Family::Hopeless, Family::NotANumber, Family::Dense}, {130}, large);
  run({Family::Indefinite}, {260}, kRelative); // 0.01, 0.1, 1, 10
  // Two waves: the retries of one are over before the workspace is the next one's.
  Numbers numbers(3);
  FactorSet set;
  for (const int64_t n : {150, 140, 130}) set.add(n == 140 ? Family::Dense : Family::Indefinite, n, numbers);
  set.check(large, set.run(large, 4 * (lngd::cuda::factor_work_floats(150) + 100)));
}

// Layers that have no average or are not due are left alone, in every size class and in several waves of large ones.
TEST(kernel_factor_inverse_due) {
  prepare();
  each_schedule([] {
    Numbers numbers(5);
    FactorSet set;
    for (const int64_t n : {150, 12, 140, 48, 90, 130})
      for (int flags = 0; flags < 4; ++flags)
        if (n < 128 || flags > 1 || n == 140) set.add(Family::Dense, n, numbers, flags % 2 == 1, flags / 2 == 1);
    const int64_t two = 4 * 2 * lngd::cuda::factor_work_floats(150);
    set.check(kRelative, set.run(kRelative, two));
  });
}

// The same bits whatever else is in the call, and in whatever order things happen.
TEST(kernel_factor_inverse_deterministic) {
  prepare();
  std::vector<std::vector<float>> first;
  each_schedule([&] {
    FactorSet set;
    for (const int64_t n : {30, 60, 120, 180}) {
      Numbers numbers(static_cast<uint32_t>(n));
      set.add(Family::Dense, n, numbers);
    }
    Numbers others(1);
    if (!first.empty()) set.add(Family::Dense, 140, others);
    set.run(kRelative);
    int64_t different = 0;
    for (size_t m = 0; m < 4; ++m) {
      const Matrix& matrix = *set.matrices[m];
      const std::vector<float> inverse = matrix.inverse.read();
      if (first.size() <= m) first.push_back(inverse);
      for (size_t i = 0; i < inverse.size(); ++i) different += inverse[i] != first[m][i];
    }
    CHECK_EQ(different, 0);
  });
}
