// SPDX-License-Identifier: Apache-2.0
//
// Inverses in and out: ranks that share the inversions have the bits of ranks that compute all of them.
#include <cstring>
#include <string>

#include "reduction.hpp"

using namespace conformance;

namespace {

constexpr std::int64_t kBatch = 12;

// Some ranks with the bounds of their shares, which share inverses where there are owners.
struct Ranks {
  std::vector<std::unique_ptr<Rank>> handles;
  std::vector<Rank*> all;
  std::vector<std::int64_t> bounds;
  bool shared;

  Ranks(const Network& net, const std::vector<std::int64_t>& shares, const std::vector<std::int32_t>& owners = {})
      : bounds(shares), shared(!owners.empty()) {
    for (std::size_t r = 0; r + 1 < shares.size(); ++r) {
      handles.push_back(std::make_unique<Rank>(net.config, net.layers, false, owners, static_cast<int>(r)));
      all.push_back(handles.back().get());
      REQUIRE_OK(lngd_set_reduction(all.back()->optimizer.handle(), 1));
    }
  }
  // Returns whether inverses were exchanged.
  bool step(int t, bool poison = false) {
    bool due = false;
    for (int layer = 0; layer < static_cast<int>(all[0]->layers.size()); ++layer)
      due |= all[0]->optimizer.needs_statistics(layer);
    if (due) {
      for (std::size_t r = 0; r < all.size(); ++r) {
        all[r]->poison = poison && r == 0;
        all[r]->observe(t, bounds[r], bounds[r + 1]);
      }
      reduce(all);
    }
    const bool exchanged = shared && exchange_inverses(all);
    for (Rank* rank : all) {
      rank->fill_gradients(t);
      REQUIRE_OK(rank->step());
    }
    return exchanged;
  }
  void write(int layer, int field, const std::vector<float>& values) {
    for (Rank* rank : all)
      REQUIRE_OK(lngd_layer_write(rank->optimizer.handle(), layer, field, values.data(),
                                  static_cast<std::int64_t>(values.size())));
  }
};

// Everything that training goes on with, health included, is the same bits.
void check_alike(const Ranks& one, const Ranks& other) {
  for (const Ranks* ranks : {&one, &other})
    for (const Rank* rank : ranks->all) {
      CHECK(rank->optimizer.state() == one.all[0]->optimizer.state());
      for (std::size_t i = 0; i < rank->tensors.size(); ++i) {
        CHECK(rank->tensors[i].weights->bytes() == one.all[0]->tensors[i].weights->bytes());
        CHECK(rank->tensors[i].bias->bytes() == one.all[0]->tensors[i].bias->bytes());
      }
    }
}

// With triangles instead of inverses too, and both factors in blocks.
std::vector<Network> networks() {
  std::vector<Network> nets = small_networks();
  for (const Network& net : small_networks())
    if (net.config.approximation == LNGD_APPROXIMATION_KFAC && net.config.trust == LNGD_TRUST_ALWAYS) {
      nets.push_back(net);
      nets.back().name += ", orthogonalised";
      nets.back().config.orthogonalise = 1;
      nets.back().config.second_block_size = 3;
    }
  return nets;
}

std::vector<std::int32_t> in_turn(std::size_t layers, std::int32_t ranks) {
  std::vector<std::int32_t> owners;
  for (std::size_t i = 0; i < layers; ++i) owners.push_back(static_cast<std::int32_t>(i) % ranks);
  return owners;
}

std::int64_t inverse_nanoseconds(const Rank& rank) {
  lngd_times times{};
  times.struct_size = sizeof times;
  REQUIRE_OK(lngd_profile(rank.optimizer.handle(), &times));
  return times.inverse;
}

} // namespace

// Two and three ranks, inverses less often than statistics, a batch that is kept out.
TEST(inverses_of_ranks_are_those_of_one) {
  const std::vector<Network> nets = networks();
  for (std::size_t n = 0; n < nets.size(); ++n)
    for (const std::int32_t size : {2, 3}) {
      if (!takes(static_cast<int>(n) + size, 4)) continue;
      Network net = nets[n];
      net.config.inverse_interval = 2;
      const Scope scope(net.name + ", " + std::to_string(size) + " ranks");
      const std::vector<std::int64_t> shares =
          size == 2 ? std::vector<std::int64_t>{0, 5, kBatch} : std::vector<std::int64_t>{0, 4, 4, kBatch};
      Ranks replicated(net, shares), shared(net, shares, in_turn(net.layers.size(), size));
      for (int t = 0; t < 5; ++t) {
        replicated.step(t, t == 2);
        CHECK_EQ(shared.step(t, t == 2), t % 2 == 0);
        check_alike(replicated, shared);
      }
      // S0 of SIGNAL too.
      double one = 0, other = 0;
      REQUIRE_OK(lngd_get(replicated.all[0]->optimizer.handle(), LNGD_SET_SIGNAL_REFERENCE, &one));
      REQUIRE_OK(lngd_get(shared.all[1]->optimizer.handle(), LNGD_SET_SIGNAL_REFERENCE, &other));
      CHECK(one == other);
      CHECK_EQ(shared.all[1]->optimizer.health(0).inverse_updates, 3);
    }
}

// What a rank does not own it does not compute: after the refresh its range is as it was, and one that owns nothing
// spends no time. (EKFAC has running averages there, S and the lambda of its mean: of that one the eigenvectors.)
TEST(inverses_of_others_are_not_computed) {
  for (const Network& net : networks()) {
    const Scope scope(net.name);
    const std::size_t layers = net.layers.size();
    std::vector<std::int32_t> owners(layers, 0);
    owners[layers - 1] = 2;
    Ranks ranks(net, {0, 4, 8, kBatch}, owners);
    for (int t = 0; t < 2; ++t) {
      for (std::size_t r = 0; r < 3; ++r) ranks.all[r]->observe(t, ranks.bounds[r], ranks.bounds[r + 1]);
      reduce(ranks.all);
      for (std::size_t r = 0; r < 3; ++r) {
        const Optimizer& optimizer = ranks.all[r]->optimizer;
        const bool basis = net.config.approximation == LNGD_APPROXIMATION_EKFAC;
        const std::vector<float> before = read_inverses(optimizer), vectors = optimizer.read(0, LNGD_FIELD_PHI_INVERSE);
        REQUIRE_OK(lngd_refresh(ranks.all[r]->plan));
        const std::vector<float> after = read_inverses(optimizer);
        CHECK_EQ(vectors == optimizer.read(0, LNGD_FIELD_PHI_INVERSE), r != 0);
        for (int owner = 0; owner < 3 && !basis; ++owner) {
          const Range range = inverse_range(optimizer, owner);
          // Bytes: what is no float may look like NaN.
          const bool same = std::memcmp(before.data() + range.offset, after.data() + range.offset,
                                        static_cast<std::size_t>(range.count) * sizeof(float)) == 0;
          CHECK_EQ(same, owner != static_cast<int>(r) || range.count == 0);
        }
      }
      broadcast_inverses(ranks.all);
      for (Rank* rank : ranks.all) {
        REQUIRE_OK(lngd_inverses_received(rank->optimizer.handle()));
        REQUIRE_OK(rank->step());
      }
      check_alike(ranks, ranks);
    }
    CHECK_GT(inverse_nanoseconds(*ranks.all[0]), 0);
    CHECK_GT(inverse_nanoseconds(*ranks.all[2]), 0);
    CHECK_EQ(inverse_nanoseconds(*ranks.all[1]), 0);
    CHECK_EQ(ranks.all[1]->optimizer.health(0).inverse_updates, 2);
  }
}

// A factor that cannot be inverted: at first, when there is no inverse to keep, and later. All ranks say the same of
// it, and go on with the same bits; the layer asks again.
TEST(inverses_that_fail_fail_on_all_ranks) {
  for (const Network& net : networks()) {
    if (net.config.approximation == LNGD_APPROXIMATION_EKFAC) continue; // eigenvectors of any symmetric matrix
    const Scope scope(net.name);
    std::vector<std::int32_t> owners = in_turn(net.layers.size(), 2);
    owners[0] = 1;
    for (const bool first : {true, false}) {
      const Scope when(first ? "the first" : "a later one");
      Network rare = net;
      rare.config.statistics_interval = 3; // so that what is written below is not averaged before the inversion
      rare.config.rho = 0.9;
      Ranks replicated(rare, {0, 5, kBatch}), shared(rare, {0, 5, kBatch}, owners);
      std::vector<float> bad(64, 0.0f); // d = 8
      for (std::size_t i = 0; i < 8; ++i) bad[i * 8 + i] = i == 5 ? -1e6f : 1.0f;
      for (Ranks* ranks : {&replicated, &shared}) {
        if (!first) ranks->step(0);
        ranks->write(0, LNGD_FIELD_PHI, bad);
        if (first) { // statistics of the others; those of layer 0 were written
          std::vector<float> psi;
          std::int64_t count = 0;
          REQUIRE_OK(lngd_layer_read(ranks->all[0]->optimizer.handle(), 0, LNGD_FIELD_PSI, nullptr, 0, &count));
          psi.resize(static_cast<std::size_t>(count));
          const std::size_t side = count == 4 ? 1 : 4;
          for (std::size_t i = 0; i < 4; ++i) psi[i * (side == 1 ? 1 : side + 1)] = 0.25f;
          ranks->write(0, LNGD_FIELD_PSI, psi);
        }
        for (int t = 1; t < 3; ++t) ranks->step(first ? t - 1 : t);
      }
      check_alike(replicated, shared);
      for (const Rank* rank : shared.all) {
        const lngd_health health = rank->optimizer.health(0);
        CHECK_GT(health.failed_inverses, 0);
        CHECK_GT(health.retries, 5);
        CHECK_GE(health.last_failed_block, 0);
        CHECK_GE(health.last_failed_pivot, 0);
        CHECK_EQ(health.failed_inverses, replicated.all[0]->optimizer.health(0).failed_inverses);
      }
    }
  }
}

// Owners that are told in the middle of a run, and taken back: inverses move, and keep their bits.
TEST(inverses_that_move) {
  for (const Network& net : networks()) {
    const Scope scope(net.name);
    Rank plain(net.config, net.layers), moving(net.config, net.layers);
    const std::size_t layers = net.layers.size();
    std::vector<std::int32_t> mine(layers, 7), reversed;
    for (std::size_t i = 0; i < layers; ++i) reversed.push_back(static_cast<std::int32_t>(layers - i));
    for (int t = 0; t < 6; ++t) {
      if (t > 0) {
        REQUIRE_OK(lngd_plan_destroy(moving.plan));
        const std::vector<std::uint8_t> state = moving.optimizer.state();
        if (t == 1 || t == 4) moving.share(reversed, 7); // one after the other, so that all move
        if (t == 2) moving.share(mine, 7);
        if (t == 3 || t == 5) REQUIRE_OK(lngd_share_inverses(moving.optimizer.handle(), nullptr, 0, -1));
        CHECK(moving.optimizer.state() == state);
        moving.make_plan();
        if (t == 4) { // read where they are now, and not computed
          REQUIRE_OK(lngd_plan_destroy(moving.plan));
          REQUIRE_OK(lngd_share_inverses(moving.optimizer.handle(), nullptr, 0, -1));
          moving.make_plan();
        }
      }
      for (Rank* rank : {&plain, &moving}) {
        rank->observe(t, 0, kBatch);
        rank->fill_gradients(t);
        if (rank == &moving && t == 1) { // owned by ranks that are not there: nothing to step with
          CHECK_EQ(rank->step(), LNGD_INVALID_STATE);
          REQUIRE_OK(lngd_plan_destroy(rank->plan));
          REQUIRE_OK(lngd_share_inverses(rank->optimizer.handle(), nullptr, 0, -1));
          rank->make_plan();
        }
        if (rank == &moving && t == 2) exchange_inverses({rank});
        REQUIRE_OK(rank->step());
      }
      CHECK(plain.optimizer.state() == moving.optimizer.state());
      for (std::size_t i = 0; i < layers; ++i)
        CHECK(plain.tensors[i].weights->bytes() == moving.tensors[i].weights->bytes());
    }
  }
}
