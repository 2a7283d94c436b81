// SPDX-License-Identifier: Apache-2.0
// factor_inverse.cu (blocks up to 128): the residual of A A^-1 in double precision over families of matrices, retries,
// and what must not change.
#include <cmath>
#include <string>

#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::cuda::DampingRule;
using lngd::cuda::FactorResult;
using lngd::cuda::FactorTask;

enum class Family { Dense, LowRank, Diagonal, Tridiagonal, RowScaled, Indefinite, Hopeless, NotANumber };
constexpr int kFamilies = 8;

std::vector<float> make(Family family, int64_t n, Numbers& numbers) {
  const int64_t ld = lngd::padded(n), rank = family == Family::LowRank ? (n + 3) / 4 : n + 3;
  std::vector<float> phi(static_cast<size_t>(n * ld), std::nanf("")); // also the upper triangle, which nobody may read
  const std::vector<float> x = numbers.vector(n * rank);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < rank; ++k)
        sum += static_cast<double>(x[static_cast<size_t>(i * rank + k)]) * x[static_cast<size_t>(j * rank + k)];
      float& p = phi[static_cast<size_t>(i * ld + j)];
      p = static_cast<float>(sum / static_cast<double>(rank));
      if (family == Family::Diagonal) p = i == j ? 1.0f + static_cast<float>(i) : 0.0f;
      if (family == Family::Tridiagonal) p = i == j ? 2.0f : i == j + 1 ? -1.0f : 0.0f;
      if (family == Family::RowScaled) p *= static_cast<float>(std::exp2(i % 7 - 3) * std::exp2(j % 7 - 3));
      if (family == Family::Indefinite) p = i == j ? (i == n - 1 ? -2.0f : 1.0f) : 0.0f;
      if (family == Family::Hopeless) p = i == j ? (i == n - 1 ? -1e9f : 1.0f) : 0.0f;
      if (family == Family::NotANumber && i == n / 2 && j == n / 2) p = std::nanf("");
    }
  return phi;
}

// The rest stays as nobody wrote it, so that reading it is reported.
std::unique_ptr<Array<float>> upload_lower(const std::vector<float>& phi, int64_t n) {
  const int64_t ld = lngd::padded(n);
  auto device = std::make_unique<Array<float>>(phi.size());
  for (int64_t i = 0; i < n; ++i)
    REQUIRE(cudaMemcpy(device->data + i * ld, phi.data() + i * ld, static_cast<size_t>(i + 1) * sizeof(float),
                       cudaMemcpyHostToDevice) == cudaSuccess);
  return device;
}

double damping(const DampingRule& rule, double mean) {
  return rule.relative ? std::max(rule.factor * mean, rule.floor) : std::min(std::max(mean, rule.least), rule.most);
}

void check_inverse(const std::vector<float>& phi, const std::vector<float>& inverse, int64_t n, double lambda) {
  const int64_t ld = lngd::padded(n);
  double residual = 0, norm_a = 0, norm_inverse = 0;
  int64_t asymmetric = 0;
  const auto a = [&](int64_t i, int64_t j) {
    const float x = phi[static_cast<size_t>(std::max(i, j) * ld + std::min(i, j))];
    return static_cast<double>(x) + (i == j ? lambda : 0.0);
  };
  for (int64_t i = 0; i < n; ++i) {
    double row = 0, row_a = 0, row_inverse = 0;
    for (int64_t j = 0; j < n; ++j) {
      double sum = i == j ? -1 : 0;
      for (int64_t k = 0; k < n; ++k) sum += a(i, k) * inverse[static_cast<size_t>(k * ld + j)];
      row += std::fabs(sum);
      row_a += std::fabs(a(i, j));
      row_inverse += std::fabs(inverse[static_cast<size_t>(i * ld + j)]);
      asymmetric += inverse[static_cast<size_t>(i * ld + j)] != inverse[static_cast<size_t>(j * ld + i)];
    }
    residual = std::max(residual, row);
    norm_a = std::max(norm_a, row_a);
    norm_inverse = std::max(norm_inverse, row_inverse);
  }
  CHECK_EQ(asymmetric, 0);
  // A A^-1 - I of a backward stable method grows with the condition number.
  CHECK_WITHIN(residual, (4.0 + static_cast<double>(n)) * 0x1p-24 * norm_a * norm_inverse);
}

void check_family(Family family, const std::vector<int32_t>& sizes, const DampingRule& rule) {
  const Array<LayerRecord> records([] {
    LayerRecord with{}, without{};
    with.has_average = 1;
    return std::vector<LayerRecord>{with, without};
  }());
  Numbers numbers(static_cast<uint32_t>(family) + 3u);
  std::vector<std::vector<float>> phis, before;
  std::vector<std::unique_ptr<Array<float>>> device;
  std::vector<FactorTask> tasks;
  int32_t largest = 0;
  for (const int32_t n : sizes) {
    phis.push_back(make(family, n, numbers));
    before.push_back(numbers.vector(n * lngd::padded(n)));
    device.push_back(upload_lower(phis.back(), n));
    device.push_back(std::make_unique<Array<float>>(before.back()));
    const bool due = tasks.size() != 1; // the second has no average yet
    tasks.push_back(
        {device[device.size() - 2]->data, device.back()->data, lngd::padded(n), records.data + (due ? 0 : 1), n});
    largest = std::max(largest, n);
  }
  const Array<FactorTask> device_tasks(tasks);
  const Array<FactorResult> device_results(tasks.size());
  CHECK_EQ(lngd::cuda::launch_factor_inverse(device_tasks.data, static_cast<int32_t>(tasks.size()), largest, rule,
                                             device_results.data, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<FactorResult> results = device_results.read();
  for (size_t t = 0; t < tasks.size(); ++t) {
    const int64_t n = tasks[t].size, ld = tasks[t].ld;
    const conformance::Scope scope("size " + std::to_string(n));
    const std::vector<float> inverse = device[2 * t + 1]->read();
    const FactorResult& result = results[t];
    const bool due = t != 1, fails = family == Family::Hopeless || family == Family::NotANumber;
    CHECK_EQ(result.renewed, due && !fails ? 1 : 0);
    CHECK_EQ(result.retries, !due ? 0 : fails ? 6 : result.retries);
    if (due && fails) CHECK_EQ(result.failed_pivot, static_cast<int32_t>(family == Family::Hopeless ? n - 1 : n / 2));
    int64_t changed = 0; // padding always stays; everything does where nothing was renewed
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = result.renewed ? n : 0; j < ld; ++j)
        changed += inverse[static_cast<size_t>(i * ld + j)] != before[t][static_cast<size_t>(i * ld + j)];
    CHECK_EQ(changed, 0);
    if (!result.renewed) continue;
    double trace = 0;
    for (int64_t i = 0; i < n; ++i) trace += phis[t][static_cast<size_t>(i * ld + i)];
    const double first = damping(rule, trace / static_cast<double>(n));
    CHECK_NEAR(result.lambda, first * std::pow(10.0, result.retries), 1e-12 * result.lambda);
    if (family == Family::Indefinite) { // needs lambda > 2: one retry less would not have been enough
      CHECK_GT(result.lambda, 2.0);
      CHECK_LE(result.lambda / 10, 2.0);
      CHECK_EQ(result.failed_pivot, static_cast<int32_t>(n - 1));
    } else {
      CHECK_EQ(result.retries, 0);
    }
    check_inverse(phis[t], inverse, n, result.lambda);
  }
}

} // namespace

TEST(kernel_factor_inverse) {
  start();
  REQUIRE(lngd::cuda::prepare_factor_inverse() == cudaSuccess);
  const DampingRule relative{true, 1e-2, 1e-5, 0, 0}, absolute{false, 0, 0, 1e-5, 1e-2};
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    for (int f = 0; f < kFamilies; ++f)
      for (const DampingRule& rule : {relative, absolute}) {
        const conformance::Scope scope("family " + std::to_string(f) + (rule.relative ? ", relative" : ", absolute"));
        const bool large = f == 0 && rule.relative;
        check_family(static_cast<Family>(f),
                     large ? std::vector<int32_t>{17, 5, 1, 64, 128} : std::vector<int32_t>{33, 5, 1, 16}, rule);
      }
  }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_factor_records) {
  start();
  using lngd::cuda::FactorLayer;
  const DampingRule rule{true, 1e-2, 1e-5, 0, 0};
  const std::vector<FactorResult> results = {{0.5, 2, 7, 1}, {0.25, 0, -1, 1}, // layer 0: both renewed
                                             {0.0, 6, 3, 0}, {0.75, 0, -1, 1}, // layer 1: the first failed
                                             {0.0, 6, 9, 0},                   // layer 2: failed
                                             {0.0, 0, -1, 0}};                 // layer 3: no average yet
  const std::vector<int32_t> first = {0, 2, 4, 5, 6}, outputs = {300, 1, 40, 5};
  const std::vector<int> renewed = {1, 1, 0, 0};
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    std::vector<LayerRecord> before(4);
    for (size_t l = 0; l < 4; ++l) {
      before[l] = LayerRecord{};
      before[l].has_average = l != 3;
      before[l].retries = 10;
      before[l].failed_inverses = 20;
      before[l].last_failed_block = before[l].last_failed_pivot = -1;
    }
    const Array<LayerRecord> records(before);
    const Array<FactorResult> device_results(results);
    const Array<double> lambdas(std::vector<double>(6, -1.0));
    Numbers numbers(77);
    std::vector<std::vector<float>> psis;
    std::vector<std::unique_ptr<Array<float>>> psi, inverse;
    std::vector<FactorLayer> table;
    for (size_t l = 0; l < 4; ++l) {
      psis.push_back(numbers.vector(outputs[l]));
      for (float& x : psis.back()) x *= x;
      psi.push_back(std::make_unique<Array<float>>(psis.back()));
      inverse.push_back(std::make_unique<Array<float>>(std::vector<float>(static_cast<size_t>(outputs[l]), -5.0f)));
      table.push_back({records.data + l, psi[l]->data, inverse[l]->data, lambdas.data + first[l], outputs[l], first[l],
                       first[l + 1] - first[l]});
    }
    const Array<FactorLayer> device_table(table);
    CHECK_EQ(lngd::cuda::launch_factor_records(device_table.data, 4, rule, device_results.data, nullptr), cudaSuccess);
    finish_launches();
    const std::vector<LayerRecord> after = records.read();
    const std::vector<double> lambda = lambdas.read();
    for (size_t l = 0; l < 4; ++l) {
      const conformance::Scope scope("layer " + std::to_string(l));
      double trace = 0;
      for (const float x : psis[l]) trace += x;
      const double damp = damping(rule, trace / outputs[l]);
      double worst = 0;
      const std::vector<float> got = inverse[l]->read();
      for (size_t i = 0; i < got.size(); ++i)
        worst = std::max(worst, std::fabs(got[i] * (renewed[l] ? (psis[l][i] + damp) : -0.2) - 1));
      CHECK_WITHIN(worst, 0x1p-23);
      CHECK_EQ(after[l].inverse_updates, renewed[l]);
      CHECK_EQ(after[l].has_inverse, l == 0 ? 1 : 0);
      if (renewed[l]) CHECK_NEAR(after[l].lambda_psi, damp, 1e-14 * damp);
    }
    CHECK(lambda == (std::vector<double>{0.5, 0.25, -1, 0.75, -1, -1}));
    CHECK_EQ(after[0].retries, 12);
    CHECK_EQ(after[1].retries, 16);
    CHECK_EQ(after[3].retries, 10);
    CHECK_EQ(after[0].failed_inverses, 20);
    CHECK_EQ(after[1].failed_inverses, 21);
    CHECK_EQ(after[2].failed_inverses, 21);
    CHECK_EQ(after[3].failed_inverses, 20);
    CHECK_EQ(after[0].last_failed_pivot, 7);
    CHECK_EQ(after[1].last_failed_block, 0);
    CHECK_EQ(after[1].last_failed_pivot, 3);
    CHECK_EQ(after[2].last_failed_pivot, 9);
    CHECK_EQ(after[3].last_failed_block, -1);
  }
  simt::set_schedule(simt::Order::Forward);
}
