// SPDX-License-Identifier: Apache-2.0
//
// Sums in and out: their layout, the order of calls, and what is refused, with nothing changed.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "parameters.hpp"
#include "reduction.hpp"

using namespace conformance;

namespace {

lngd_config config_of(int which = LNGD_PRESET_RECIPE) {
  lngd_config config = preset(which, 20);
  config.block_size = 4;
  config.statistics_samples = 0;
  config.statistics_interval = 2;
  config.inverse_interval = 2;
  return config;
}

std::vector<lngd_layer_config> two_layers() { return {dense(7, 4), dense(5, 3, false)}; }

bool says(const std::string& text) { return std::string(lngd_last_error()).find(text) != std::string::npos; }

std::vector<std::uint8_t> bytes_of(const Rank& rank) {
  std::vector<std::uint8_t> all;
  for (const Rank::Tensors& t : rank.tensors)
    for (const Tensor* tensor : {t.weights.get(), t.bias.get(), t.weight_gradients.get(), t.bias_gradients.get()}) {
      const std::vector<std::uint8_t> own = tensor->bytes();
      all.insert(all.end(), own.begin(), own.end());
    }
  return all;
}

std::int64_t padded(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// Floats of the blocks of at most 4 of d columns, for each of `groups` groups.
std::int64_t block_floats(std::int64_t d, std::int64_t groups = 1) {
  std::int64_t floats = 0;
  for (std::int64_t begin = 0; begin < d; begin += 4) floats += std::min<std::int64_t>(4, d - begin) * 16;
  return groups * floats;
}

} // namespace

TEST(sums_layout) {
  lngd_layer_config words;
  REQUIRE_OK(lngd_embedding_init(9, 4, &words));
  const std::vector<lngd_layer_config> layers = {dense(7, 4), words, parameter(6),
                                                 with_geometry(convolution(4, 6, 2, 2), 1, 0, 0, 1, 2)};
  const Optimizer recipe(config_of(), layers);
  lngd_config kfac_config = config_of(LNGD_PRESET_KFAC);
  kfac_config.second_block_size = 4;
  const Optimizer kfac(kfac_config, {layers[0], layers[2], layers[3]});
  struct Expected {
    const Optimizer& optimizer;
    int layer;
    std::int64_t count[8]; // by lngd_sum
  };
  const Expected all[] = {{recipe, 0, {2, block_floats(8), 0, 4, 0, 1, 0, 0}},
                          {recipe, 1, {2, 0, 9, 4, 0, 1, 0, 0}},
                          {recipe, 2, {0, 0, 0, 0, 0, 0, 0, 0}},
                          {recipe, 3, {2, block_floats(9, 2), 0, 6, 0, 2, 0, 0}},
                          {kfac, 0, {2, block_floats(8), 0, 0, block_floats(4), 1, 3, 0}},
                          {kfac, 2, {2, block_floats(9, 2), 0, 0, block_floats(3, 2), 2, 5, 0}}};
  for (const Optimizer* optimizer : {&recipe, &kfac}) {
    lngd_sums view{};
    view.struct_size = sizeof view;
    REQUIRE_OK(lngd_get_sums(optimizer->handle(), &view));
    CHECK_EQ(view.device_type, device() == LNGD_DEVICE_CPU ? 1 : 2);
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(view.floats) % 64, 0);
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(view.doubles) % 64, 0);
    std::vector<int> floats(static_cast<std::size_t>(view.float_count)),
        doubles(static_cast<std::size_t>(view.double_count));
    for (const Expected& expected : all)
      for (int sum = 0; sum < 8 && &expected.optimizer == optimizer; ++sum) {
        const Scope scope("layer " + std::to_string(expected.layer) + ", sum " + std::to_string(sum));
        const Range range = sum_range(*optimizer, expected.layer, sum);
        CHECK_EQ(range.count, expected.count[sum]);
        const bool real = sum == LNGD_SUM_PHI || sum == LNGD_SUM_SECOND || sum == LNGD_SUM_SCALES;
        if (sum != LNGD_SUM_COUNTS) CHECK_EQ(range.offset % (real ? 16 : 8), 0); // a cache line
        std::vector<int>& used = real ? floats : doubles;
        REQUIRE(range.offset >= 0 && range.offset + range.count <= static_cast<std::int64_t>(used.size()));
        for (std::int64_t i = 0; i < range.count; ++i) CHECK_EQ(++used[static_cast<std::size_t>(range.offset + i)], 1);
      }
    // Nothing but the ends of cache lines lies between.
    const auto lines = [](const std::vector<int>& used) { return padded(static_cast<std::int64_t>(used.size()), 8); };
    CHECK_EQ(lines(doubles), static_cast<std::int64_t>(doubles.size()));
    if (optimizer == &recipe) CHECK_EQ(std::count(floats.begin(), floats.end(), 0), 0);
  }
  std::int64_t offset = 0, count = 0;
  for (const int sum : {-1, 8})
    CHECK_EQ(lngd_sum_range(recipe.handle(), 0, sum, &offset, &count), LNGD_INVALID_ARGUMENT);
  for (const int layer : {-1, 4})
    CHECK_EQ(lngd_sum_range(recipe.handle(), layer, 0, &offset, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_sum_range(recipe.handle(), 0, 0, nullptr, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_sum_range(recipe.handle(), 0, 0, &offset, nullptr), LNGD_INVALID_ARGUMENT);
  lngd_sums view{};
  CHECK_EQ(lngd_get_sums(recipe.handle(), &view), LNGD_INVALID_ARGUMENT); // struct_size
  CHECK_EQ(lngd_get_sums(recipe.handle(), nullptr), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_get_sums(nullptr, &view), LNGD_INVALID_ARGUMENT);
  view.struct_size = sizeof view;
  CHECK_EQ(lngd_get_sums(nullptr, &view), LNGD_INVALID_HANDLE);
}

TEST(sums_that_a_step_waits_for) {
  Rank rank(config_of(), two_layers());
  lngd_optimizer* const optimizer = rank.optimizer.handle();
  for (const int needed : {-1, 2}) CHECK_EQ(lngd_set_reduction(optimizer, needed), LNGD_INVALID_ARGUMENT);
  REQUIRE_OK(lngd_set_reduction(optimizer, 1));
  for (const bool observed : {false, true}) { // a rank without samples waits too
    if (observed) rank.observe(0, 0, 5);
    const std::vector<std::uint8_t> before = bytes_of(rank);
    CHECK_EQ(rank.step(), LNGD_INVALID_STATE);
    CHECK(says("layer 0") && says("lngd_sums_reduced"));
    CHECK_EQ(lngd_refresh(rank.plan), LNGD_INVALID_STATE);
    std::int32_t allowed = 0;
    CHECK_EQ(lngd_replay(rank.plan, 1, &allowed), LNGD_INVALID_STATE);
    CHECK(bytes_of(rank) == before);
    CHECK_EQ(rank.optimizer.health(0).steps + rank.optimizer.health(0).statistics_updates, 0);
  }
  reduce({&rank});
  REQUIRE_OK(lngd_refresh(rank.plan)); // of the total
  CHECK_EQ(rank.optimizer.health(1).statistics_updates, 1);
  REQUIRE_OK(rank.step());
  REQUIRE_OK(rank.step()); // not due
  CHECK_EQ(rank.step(), LNGD_INVALID_STATE);
  REQUIRE_OK(lngd_set_reduction(optimizer, 0));
  REQUIRE_OK(rank.step());
}

TEST(sums_that_are_closed) {
  Rank rank(config_of(), two_layers());
  lngd_optimizer* const optimizer = rank.optimizer.handle();
  CHECK_EQ(lngd_sums_reduced(optimizer), LNGD_INVALID_STATE);
  CHECK(says("lngd_sums_close"));
  rank.observe(0, 0, 5);
  REQUIRE_OK(lngd_sums_close(optimizer));
  CHECK_EQ(read_sums(rank.optimizer).doubles[0], 5);
  CHECK_EQ(lngd_sums_close(optimizer), LNGD_INVALID_STATE);
  for (int layer = 0; layer < 2; ++layer) CHECK(!rank.optimizer.needs_statistics(layer));
  const std::vector<std::uint8_t> before = bytes_of(rank);
  CHECK_EQ(rank.step(), LNGD_INVALID_STATE);
  CHECK_EQ(lngd_refresh(rank.plan), LNGD_INVALID_STATE);
  CHECK(bytes_of(rank) == before);
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(optimizer, &bytes));
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  CHECK_EQ(lngd_state_save(optimizer, state.data(), bytes, nullptr), LNGD_INVALID_STATE);
  CHECK_EQ(lngd_discard(optimizer, 0), LNGD_INVALID_STATE);
  const Sums sums = read_sums(rank.optimizer);
  rank.observe(1, 0, 5); // does nothing
  CHECK(read_sums(rank.optimizer).floats == sums.floats && read_sums(rank.optimizer).doubles == sums.doubles);
  REQUIRE_OK(lngd_sums_reduced(optimizer));
  CHECK_EQ(lngd_sums_reduced(optimizer), LNGD_INVALID_STATE);
  CHECK_EQ(lngd_sums_close(optimizer), LNGD_INVALID_STATE); // they hold a total
  CHECK(says("layer 0"));
  rank.observe(1, 0, 5); // does nothing
  CHECK_EQ(lngd_state_save(optimizer, state.data(), bytes, nullptr), LNGD_INVALID_STATE);
  REQUIRE_OK(rank.step());
  Rank plain(config_of(), two_layers());
  plain.observe(0, 0, 5);
  REQUIRE_OK(plain.step());
  CHECK(rank.optimizer.state() == plain.optimizer.state());
  CHECK(bytes_of(rank) == bytes_of(plain));
}

// After an all-reduce that failed, whatever it left behind; and of one layer after a reduction.
TEST(sums_that_are_discarded) {
  for (const bool reduced : {false, true}) {
    const Scope scope(reduced ? "after the reduction" : "before it");
    Rank rank(config_of(), two_layers()), plain(config_of(), two_layers());
    rank.observe(1, 0, 5);
    REQUIRE_OK(lngd_sums_close(rank.optimizer.handle()));
    Sums sums = read_sums(rank.optimizer);
    if (!reduced) { // half-done, in what this rank had nothing in too
      std::fill(sums.floats.begin(), sums.floats.end(), std::numeric_limits<float>::quiet_NaN());
      std::fill(sums.doubles.begin(), sums.doubles.end(), 3.5);
    }
    write_sums(rank.optimizer, sums);
    if (reduced) REQUIRE_OK(lngd_sums_reduced(rank.optimizer.handle()));
    if (reduced) REQUIRE_OK(lngd_discard(rank.optimizer.handle(), 0));
    if (reduced) CHECK(rank.optimizer.needs_statistics(0) && !rank.optimizer.needs_statistics(1));
    REQUIRE_OK(lngd_discard(rank.optimizer.handle(), LNGD_ALL_LAYERS));
    rank.observe(0, 0, 5);
    plain.observe(0, 0, 5);
    REQUIRE_OK(rank.step());
    REQUIRE_OK(plain.step());
    CHECK(rank.optimizer.state() == plain.optimizer.state());
    CHECK(bytes_of(rank) == bytes_of(plain));
  }
}

TEST(sums_with_wrong_counts) {
  Rank rank(config_of(), two_layers());
  lngd_optimizer* const optimizer = rank.optimizer.handle();
  rank.observe(0, 0, 5);
  REQUIRE_OK(lngd_sums_close(optimizer));
  const Sums own = read_sums(rank.optimizer);
  const auto samples = static_cast<std::size_t>(sum_range(rank.optimizer, 1, LNGD_SUM_COUNTS).offset);
  const double inf = std::numeric_limits<double>::infinity();
  for (const double wrong : {5.5, 4.0, 0.0, -1.0, 6.0, 1e300, inf, -inf, std::nan("")}) {
    const Scope scope("count " + std::to_string(wrong));
    for (const std::size_t which : {std::size_t{0}, std::size_t{1}}) {
      // Fewer than the 5 samples; as many ranks with NaN as there are samples at most.
      if (which == 0 ? wrong == 6.0 : wrong == 4.0 || wrong == 0.0) continue;
      Sums sums = own;
      sums.doubles[samples + which] = wrong;
      write_sums(rank.optimizer, sums);
      CHECK_EQ(lngd_sums_reduced(optimizer), LNGD_INVALID_ARGUMENT);
      CHECK(says("layer 1") && says("allowed"));
      CHECK_EQ(rank.step(), LNGD_INVALID_STATE); // still closed
    }
  }
  write_sums(rank.optimizer, own);
  REQUIRE_OK(lngd_sums_reduced(optimizer));
  REQUIRE_OK(rank.step());
  // The next step is not due here: others that have samples are at another step.
  REQUIRE_OK(lngd_sums_close(optimizer));
  write_sums(rank.optimizer, own);
  CHECK_EQ(lngd_sums_reduced(optimizer), LNGD_INVALID_STATE);
  CHECK(says("same step"));
  REQUIRE_OK(lngd_discard(optimizer, LNGD_ALL_LAYERS));
  REQUIRE_OK(lngd_sums_close(optimizer)); // nothing due on any rank
  for (const double value : read_sums(rank.optimizer).doubles) CHECK(value == 0);
  REQUIRE_OK(lngd_sums_reduced(optimizer));
  REQUIRE_OK(rank.step());
}

// Garbage between the ranges, as an all-reduce may make of it, changes nothing.
TEST(sums_between_the_ranges_mean_nothing) {
  lngd_layer_config words;
  REQUIRE_OK(lngd_embedding_init(9, 4, &words));
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_KFAC}) {
    const Scope scope("preset " + std::to_string(which));
    std::vector<lngd_layer_config> layers = {dense(7, 4), parameter(6), dense(5, 3, false)};
    if (which == LNGD_PRESET_RECIPE) layers.push_back(words);
    Rank rank(config_of(which), layers), plain(config_of(which), layers);
    for (int t = 0; t < 3; ++t) {
      rank.observe(t, 0, 5);
      plain.observe(t, 0, 5);
      REQUIRE_OK(lngd_sums_close(rank.optimizer.handle()));
      const Sums sums = read_sums(rank.optimizer);
      Sums garbled = sums;
      std::fill(garbled.floats.begin(), garbled.floats.end(), 7e30f);
      std::fill(garbled.doubles.begin(), garbled.doubles.end(), 7);
      for (int layer = 0; layer < static_cast<int>(layers.size()); ++layer)
        for (int sum = 0; sum < 8; ++sum) {
          const Range range = sum_range(rank.optimizer, layer, sum);
          for (std::int64_t i = range.offset; i < range.offset + range.count; ++i) {
            const auto k = static_cast<std::size_t>(i);
            if (sum == LNGD_SUM_PHI || sum == LNGD_SUM_SECOND)
              garbled.floats[k] = sums.floats[k];
            else
              garbled.doubles[k] = sums.doubles[k];
          }
        }
      CHECK(garbled.doubles != sums.doubles);
      write_sums(rank.optimizer, garbled);
      REQUIRE_OK(lngd_sums_reduced(rank.optimizer.handle()));
      REQUIRE_OK(rank.step());
      REQUIRE_OK(plain.step());
    }
    CHECK(rank.optimizer.state() == plain.optimizer.state());
    CHECK(bytes_of(rank) == bytes_of(plain));
  }
}

TEST(sums_and_the_empirical_rate) {
  lngd_config config = config_of(LNGD_PRESET_PAPER);
  REQUIRE(config.rate == LNGD_RATE_EMPIRICAL);
  const Optimizer optimizer(config, two_layers());
  CHECK_EQ(lngd_set_reduction(optimizer.handle(), 1), LNGD_INVALID_STATE);
  CHECK(says("EMPIRICAL") && says("KRONECKER"));
  CHECK_EQ(lngd_sums_close(optimizer.handle()), LNGD_INVALID_STATE);
  CHECK_OK(lngd_set_reduction(optimizer.handle(), 0));
}

TEST(sums_sample_offset) {
  const Optimizer optimizer(config_of(), two_layers());
  for (const std::int64_t offset : {std::int64_t{-1}, std::int64_t{1} << 31, INT64_MAX, INT64_MIN})
    CHECK_EQ(lngd_set_sample_offset(optimizer.handle(), offset), LNGD_INVALID_ARGUMENT);
  CHECK_OK(lngd_set_sample_offset(optimizer.handle(), INT32_MAX));
}

// A state between two exchanges; what was closed when it was restored is forgotten, sums of before it too.
TEST(sums_and_the_state) {
  Rank rank(config_of(), two_layers()), other(config_of(), two_layers());
  for (Rank* r : {&rank, &other}) {
    REQUIRE_OK(lngd_set_reduction(r->optimizer.handle(), 1));
    r->observe(0, 0, 5);
    reduce({r});
    REQUIRE_OK(r->step());
    REQUIRE_OK(r->step());
  }
  const std::vector<std::uint8_t> state = rank.optimizer.state();
  rank.observe(1, 0, 5);
  REQUIRE_OK(lngd_sums_close(rank.optimizer.handle()));
  REQUIRE_OK(lngd_state_restore(rank.optimizer.handle(), state.data(), static_cast<std::int64_t>(state.size())));
  for (int layer = 0; layer < 2; ++layer) CHECK(rank.optimizer.needs_statistics(layer));
  CHECK_EQ(rank.step(), LNGD_INVALID_STATE); // the flag is no part of the state
  reduce({&rank});                           // a rank without samples: the old sums are not among them
  for (const float value : read_sums(rank.optimizer).floats) CHECK(value == 0);
  REQUIRE_OK(lngd_discard(rank.optimizer.handle(), LNGD_ALL_LAYERS));
  for (Rank* r : {&rank, &other}) {
    r->observe(2, 0, 5);
    reduce({r});
    REQUIRE_OK(r->step());
  }
  CHECK(rank.optimizer.state() == other.optimizer.state());
  CHECK(bytes_of(rank) == bytes_of(other));
}
