// SPDX-License-Identifier: Apache-2.0
//
// Sums in and out: ranks that add their sums between observe and step take the step of one optimizer that observed the
// whole batch.
#include <cmath>
#include <string>

#include "parameters.hpp"
#include "reduction.hpp"

using namespace conformance;

namespace {

using Net = Network;

std::vector<Net> nets(int activation = LNGD_ACTIVATION_TANH) { return small_networks(activation); }

lngd_config small(int which) { return small_config(which); }

constexpr std::int64_t kBatch = 12;

// Bounds of the shares of 2 or 3 ranks, uneven ones and none.
const std::vector<std::vector<std::int64_t>> kShares = {{0, 5, 12}, {0, 12, 12}, {0, 0, 12}, {0, 1, 6, 12}};

// Of net and shares number i: one in four with --quick on the emulator.
bool taken(std::size_t net, std::size_t shares) { return takes(static_cast<int>(net + shares), 4); }

struct Ranks {
  std::vector<std::unique_ptr<Rank>> owners;
  std::vector<Rank*> all;
  std::vector<std::int64_t> bounds;

  Ranks(const Net& net, const std::vector<std::int64_t>& shares, bool whole = false) : bounds(shares) {
    for (std::size_t r = 0; r + 1 < shares.size(); ++r) {
      owners.push_back(std::make_unique<Rank>(net.config, net.layers, whole));
      all.push_back(owners.back().get());
      REQUIRE_OK(lngd_set_reduction(all.back()->optimizer.handle(), 1));
    }
  }
  void observe(int t) {
    for (std::size_t r = 0; r < all.size(); ++r) all[r]->observe(t, bounds[r], bounds[r + 1]);
  }
  void step(int t) {
    for (Rank* rank : all) {
      rank->fill_gradients(t);
      REQUIRE_OK(rank->step());
    }
  }
  // State and weights are the same bits on all ranks.
  void check_alike() const {
    for (const Rank* rank : all) {
      CHECK(rank->optimizer.state() == all[0]->optimizer.state());
      for (std::size_t i = 0; i < rank->tensors.size(); ++i)
        CHECK(rank->tensors[i].weights->bytes() == all[0]->tensors[i].weights->bytes());
    }
  }
};

// Of the running averages: sums of at most 12 x 20 rows, each side within as many roundings of float32 of the truth.
constexpr double kAverageError = 2 * 240 * 6e-8;

} // namespace

TEST(sums_of_two_ranks_are_those_of_one) {
  const std::vector<Net> all = nets();
  for (std::size_t n = 0; n < all.size(); ++n)
    for (std::size_t which = 0; which < kShares.size(); ++which) {
      if (!taken(n, which)) continue;
      const Net& net = all[n];
      const auto& shares = kShares[which];
      const Scope scope(net.name + ", " + std::to_string(shares.size() - 1) + " ranks, the first with " +
                        std::to_string(shares[1]));
      Rank one(net.config, net.layers);
      Ranks ranks(net, shares);
      for (int t = 0; t < 3; ++t) {
        one.observe(t, 0, kBatch);
        one.fill_gradients(t);
        REQUIRE_OK(one.step());
        ranks.observe(t);
        reduce(ranks.all);
        ranks.step(t);
      }
      ranks.check_alike();
      for (std::size_t i = 0; i < net.layers.size(); ++i) {
        const int layer = static_cast<int>(i);
        const lngd_health health = ranks.all[0]->optimizer.health(layer);
        CHECK_EQ(health.statistics_updates, one.optimizer.health(layer).statistics_updates);
        CHECK_EQ(health.skipped_statistics, 0);
        CHECK_EQ(health.skipped_steps, 0);
        const twin::Matrix weights = one.weights(layer);
        // Three steps by directions of factors with a condition number of at most 1e3 or so; measured: 2.6e-6
        // (EKFAC), 1.5e-6.
        CHECK_LE(distance(weights, ranks.all[0]->weights(layer)), 2e-5 * norm(weights));
        if (net.layers[i].kind == LNGD_LAYER_PARAMETER) continue;
        for (const int field : {LNGD_FIELD_PHI, LNGD_FIELD_PSI}) {
          const std::vector<float> a = one.optimizer.read(layer, field), b = ranks.all[0]->optimizer.read(layer, field);
          double difference = 0, size = 0;
          for (std::size_t k = 0; k < a.size(); ++k) {
            difference = std::fmax(difference, std::fabs(static_cast<double>(a[k]) - b[k]));
            size = std::fmax(size, std::fabs(static_cast<double>(a[k])));
          }
          CHECK_LE(difference, kAverageError * size);
        }
      }
    }
}

// Where all sums are whole numbers that float32 holds, no addition rounds and the order says nothing: the same bits.
// (q is 1 for the identity, r the 4 outputs, sqrt(r) is 2. TKFAC and EKFAC have roots and rotations that are not
// whole.)
TEST(sums_of_whole_numbers_are_exact) {
  const std::vector<Net> all = nets(LNGD_ACTIVATION_IDENTITY);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Net& net = all[k];
    if (net.config.approximation == LNGD_APPROXIMATION_TKFAC || net.config.approximation == LNGD_APPROXIMATION_EKFAC ||
        net.config.approximation == LNGD_APPROXIMATION_NGPLUS || net.config.fisher == LNGD_FISHER_SAMPLED)
      continue;
    const bool drawn = net.name == "PAPER"; // in closed form here: drawn targets are no whole numbers
    Net exact = net;
    if (drawn) exact.config.fisher = LNGD_FISHER_EXPECTED;
    for (std::size_t which = 0; which < kShares.size(); ++which) {
      if (!taken(k, which)) continue;
      const auto& shares = kShares[which];
      const Scope scope(net.name + ", the first of " + std::to_string(shares.size() - 1) + " ranks with " +
                        std::to_string(shares[1]));
      Rank one(exact.config, exact.layers, true);
      Ranks ranks(exact, shares, true);
      for (int t = 0; t < 2; ++t) {
        one.observe(t, 0, kBatch);
        one.fill_gradients(t);
        REQUIRE_OK(one.step());
        ranks.observe(t);
        reduce(ranks.all);
        ranks.step(t);
      }
      ranks.check_alike();
      CHECK(one.optimizer.state() == ranks.all[0]->optimizer.state());
      for (std::size_t i = 0; i < one.tensors.size(); ++i)
        CHECK(one.tensors[i].weights->bytes() == ranks.all[0]->tensors[i].weights->bytes());
    }
  }
}

// Each sample draws what it would have drawn in one optimizer; without the offset it does not, and the sums differ.
TEST(sums_draw_by_the_number_of_the_sample) {
  lngd_config config = small(LNGD_PRESET_RECIPE);
  config.fisher = LNGD_FISHER_SAMPLED;
  lngd_layer_config softmax = dense(6, 5, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX), words;
  REQUIRE_OK(lngd_embedding_init(9, 4, &words));
  const Net net{
      "drawn",
      config,
      {words, with_geometry(convolution(4, 4, 2, 2), 1, 1, 0, 1, 2), dense(7, 4, true, LNGD_ACTIVATION_TANH), softmax}};
  for (const bool numbered : {true, false}) {
    const Scope scope(numbered ? "with the offset" : "without");
    Rank one(net.config, net.layers);
    Ranks ranks(net, {0, 5, 12});
    for (Rank* rank : ranks.all) rank->numbered = numbered;
    one.observe(0, 0, kBatch);
    ranks.observe(0);
    reduce(ranks.all);
    REQUIRE_OK(lngd_sums_close(one.optimizer.handle()));
    const Sums whole = read_sums(one.optimizer), total = read_sums(ranks.all[1]->optimizer);
    for (int layer = 0; layer < 4; ++layer) {
      const Range psi = sum_range(one.optimizer, layer, LNGD_SUM_PSI);
      double difference = 0, size = 0;
      for (std::int64_t i = psi.offset; i < psi.offset + psi.count; ++i) {
        const auto k = static_cast<std::size_t>(i);
        difference = std::fmax(difference, std::fabs(whole.doubles[k] - total.doubles[k]));
        size = std::fmax(size, whole.doubles[k]);
      }
      if (numbered)
        CHECK_LE(difference, kAverageError * size);
      else
        CHECK_GT(difference, 1e-3 * size);
    }
  }
}

// Two micro-batches on each rank: numbers go on from the offset.
TEST(sums_of_micro_batches) {
  const Net net = nets()[1];
  Rank one(net.config, net.layers);
  Ranks ranks(net, {0, 6, 12});
  one.observe(0, 0, kBatch);
  for (std::size_t r = 0; r < 2; ++r) {
    Rank& rank = *ranks.all[r];
    const std::int64_t begin = 6 * static_cast<std::int64_t>(r);
    REQUIRE_OK(lngd_set_sample_offset(rank.optimizer.handle(), begin));
    rank.numbered = false;
    rank.observe(0, begin, begin + 2);
    rank.observe(0, begin + 2, begin + 6);
  }
  reduce(ranks.all);
  ranks.step(0);
  one.fill_gradients(0);
  REQUIRE_OK(one.step());
  ranks.check_alike();
  for (int layer = 0; layer < static_cast<int>(net.layers.size()); ++layer)
    CHECK_LE(distance(one.weights(layer), ranks.all[0]->weights(layer)), 2e-5 * norm(one.weights(layer)));
}

// NaN on one rank, or a total that is too large though no share is: kept out on all ranks alike.
TEST(sums_that_are_kept_out) {
  for (const Net& net : nets()) {
    const Scope scope(net.name);
    Ranks ranks(net, {0, 5, 12});
    for (int t = 0; t < 3; ++t) {
      ranks.all[1]->poison = t == 1;
      ranks.observe(t);
      reduce(ranks.all);
      ranks.step(t);
    }
    ranks.check_alike();
    // Nothing of the NaN is left for the next update, beside the triangles either.
    for (const Rank* rank : ranks.all) {
      REQUIRE_OK(lngd_sums_close(rank->optimizer.handle()));
      const Sums sums = read_sums(rank->optimizer);
      for (const float value : sums.floats) REQUIRE(std::isfinite(value));
      for (const double value : sums.doubles) REQUIRE(value == 0);
      REQUIRE_OK(lngd_discard(rank->optimizer.handle(), LNGD_ALL_LAYERS));
    }
    for (std::size_t i = 0; i < net.layers.size(); ++i) {
      if (net.layers[i].kind == LNGD_LAYER_PARAMETER) continue;
      for (const Rank* rank : ranks.all) {
        CHECK_EQ(rank->optimizer.health(static_cast<int>(i)).skipped_statistics, 1);
        CHECK_EQ(rank->optimizer.health(static_cast<int>(i)).statistics_updates, 2);
      }
    }
  }
}

TEST(sums_that_are_too_large_together) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_KFAC, LNGD_PRESET_TKFAC}) {
    const Scope scope(std::to_string(which));
    const lngd_config config = small(which);
    const bool provided = config.fisher == LNGD_FISHER_PROVIDED;
    const Net net{"large", config, {dense(1, 1, false, LNGD_ACTIVATION_IDENTITY)}};
    for (const double share : {0.8e37, 0.4e37}) { // the limit is 1e37
      Ranks ranks(net, {0, 1, 2});
      for (Rank* rank : ranks.all) {
        Tensor a(1, 1), g(1, 1);
        a.set(0, 0, std::sqrt(share));
        g.set(0, 0, 1);
        REQUIRE_OK(lngd_observe(rank->optimizer.handle(), 0, a.pointer(), g.pointer(),
                                provided ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS));
      }
      reduce(ranks.all);
      ranks.step(0);
      for (const Rank* rank : ranks.all) {
        CHECK_EQ(rank->optimizer.health(0).skipped_statistics, share > 0.5e37 ? 1 : 0);
        CHECK_EQ(rank->optimizer.health(0).statistics_updates, share > 0.5e37 ? 0 : 1);
      }
    }
  }
}

// A layer that no rank has observed: no update, not one that was kept out.
TEST(sums_of_a_layer_that_nobody_observed) {
  const Net net{"two", small(LNGD_PRESET_RECIPE), {dense(7, 4), dense(5, 4)}};
  Ranks ranks(net, {0, 5, 12});
  for (Rank* rank : ranks.all) REQUIRE_OK(rank->observe_layer(0, 0, 0, 5));
  reduce(ranks.all);
  ranks.step(0);
  ranks.check_alike();
  const lngd_health seen = ranks.all[1]->optimizer.health(0), unseen = ranks.all[1]->optimizer.health(1);
  CHECK_EQ(seen.statistics_updates, 1);
  CHECK_EQ(unseen.statistics_updates + unseen.skipped_statistics + unseen.inverse_updates, 0);
  CHECK_EQ(unseen.skipped_steps, 1);
  CHECK(ranks.all[1]->optimizer.needs_statistics(1));
}

// What has no meaning stays finite, whatever is added how often: 4^80 would not be.
TEST(sums_beside_the_triangles_do_not_grow) {
  for (const Net& net : nets()) {
    const Scope scope(net.name);
    Rank rank(net.config, net.layers);
    REQUIRE_OK(lngd_set_reduction(rank.optimizer.handle(), 1));
    const int updates = device() == LNGD_DEVICE_CPU ? 80 : 3;
    for (int t = 0; t < updates; ++t) {
      rank.observe(t, 0, 5);
      REQUIRE_OK(lngd_sums_close(rank.optimizer.handle()));
      Sums sums = read_sums(rank.optimizer);
      for (const float value : sums.floats) REQUIRE(std::isfinite(value) && std::fabs(value) < 1e7f);
      for (const double value : sums.doubles) REQUIRE(std::isfinite(value));
      for (float& value : sums.floats) value *= 4; // as if three others had the same
      write_sums(rank.optimizer, sums);
      REQUIRE_OK(lngd_sums_reduced(rank.optimizer.handle()));
      REQUIRE_OK(rank.step());
    }
  }
}
