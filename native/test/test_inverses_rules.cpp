// SPDX-License-Identifier: Apache-2.0
//
// Inverses in and out: their layout and cost, the order of calls, and what is refused, with nothing changed.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "parameters.hpp"
#include "reduction.hpp"

using namespace conformance;

namespace {

lngd_config config_of(int which = LNGD_PRESET_RECIPE) {
  lngd_config config = small_config(which);
  config.statistics_interval = 2;
  config.inverse_interval = 2;
  return config;
}

std::vector<lngd_layer_config> three_layers() { return {dense(7, 4), parameter(6), dense(5, 3, false)}; }

const std::vector<std::int32_t> kOwners = {0, 9, 1};

bool says(const std::string& text) { return std::string(lngd_last_error()).find(text) != std::string::npos; }

// Two ranks that share inverses and observe the same.
struct Pair {
  Rank first, second;
  explicit Pair(const lngd_config& config = config_of(), const std::vector<std::int32_t>& owners = kOwners)
      : first(config, three_layers(), false, owners, 0), second(config, three_layers(), false, owners, 1) {}
  std::vector<Rank*> all() { return {&first, &second}; }
  void observe(int t) {
    for (Rank* rank : all()) {
      rank->observe(t, 0, 5);
      rank->fill_gradients(t);
    }
  }
  void refresh() {
    for (Rank* rank : all()) REQUIRE_OK(lngd_refresh(rank->plan));
  }
  void step() {
    for (Rank* rank : all()) REQUIRE_OK(rank->step());
    CHECK(first.optimizer.state() == second.optimizer.state());
  }
};

std::vector<std::uint8_t> weights_of(const Rank& rank) {
  std::vector<std::uint8_t> all;
  for (const Rank::Tensors& t : rank.tensors) {
    const std::vector<std::uint8_t> own = t.weights->bytes();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

struct Cost {
  double operations;
  std::int64_t floats;
};
Cost cost(const Optimizer& optimizer, int layer) {
  Cost c{};
  REQUIRE_OK(lngd_inverse_cost(optimizer.handle(), layer, &c.operations, &c.floats));
  return c;
}

} // namespace

// Blocks of 4 of 8 columns are 4 rows of 16 floats each, two of them; 32 bytes of lambdas, 4 of psi, a head of 64
// bytes.
TEST(inverses_layout) {
  lngd_layer_config words;
  REQUIRE_OK(lngd_embedding_init(40, 4, &words));
  words.bias = 1;
  const std::vector<lngd_layer_config> layers = {dense(7, 4), parameter(6), words,
                                                 with_geometry(convolution(4, 6, 2, 2), 1, 0, 0, 1, 2)};
  const Optimizer recipe(config_of(), layers);
  CHECK_EQ(cost(recipe, 0).floats, 16 + 16 + 128 + 16);
  CHECK(cost(recipe, 0).operations == 2 * 64 + 4);
  CHECK_EQ(cost(recipe, 1).floats, 0);
  CHECK(cost(recipe, 1).operations == 0);
  CHECK_EQ(cost(recipe, 2).floats, 16 + 16 + 48 + 16); // 41 diagonal elements
  CHECK(cost(recipe, 2).operations == 41 + 4);
  CHECK_EQ(cost(recipe, 3).floats, 16 + 16 + 2 * 9 * 16 + 16); // two groups of 9 columns
  CHECK(cost(recipe, 3).operations == 2 * (64 + 64 + 1) + 6);
  lngd_config kfac_config = config_of(LNGD_PRESET_KFAC);
  kfac_config.block_size = 0;
  const Optimizer kfac(kfac_config, {layers[0]});
  CHECK_EQ(cost(kfac, 0).floats, 16 + 16 + 16 + 8 * 16 + 4 * 16);
  CHECK(cost(kfac, 0).operations == 512 + 64);
  lngd_config triangles = config_of(LNGD_PRESET_BLOCK_KRONECKER);
  triangles.orthogonalise = 1;
  triangles.nesterov = 1;
  triangles.block_size = triangles.second_block_size = 0;
  const Optimizer orthogonal(triangles, {layers[0]});
  CHECK_NEAR(cost(orthogonal, 0).operations, 2.0 / 3 * (512 + 64), 1e-9);
  if (device() == LNGD_DEVICE_CPU) {
    const Optimizer basis(config_of(LNGD_PRESET_EKFAC), {layers[0]});
    CHECK(cost(basis, 0).operations == 9 * (512 + 64));
    CHECK_EQ(cost(basis, 0).floats, 16 + 16 + 16 + 8 * 16 + 4 * 16 + 16 + 4 * 16);
  }
  // All belong to owner 0 until they are shared; then a range for each owner, in the order of their numbers.
  lngd_inverses view{};
  view.struct_size = sizeof view;
  REQUIRE_OK(lngd_get_inverses(recipe.handle(), &view));
  CHECK_EQ(view.rank, -1);
  CHECK_EQ(view.float_count, cost(recipe, 0).floats + cost(recipe, 2).floats + cost(recipe, 3).floats);
  CHECK_EQ(inverse_range(recipe, 0).count, view.float_count);
  CHECK_EQ(inverse_range(recipe, 1).count, 0);
  const std::int32_t owners[] = {5, -3, 2, 5}; // that of a parameter does not matter
  REQUIRE_OK(lngd_share_inverses(recipe.handle(), owners, 4, 2));
  REQUIRE_OK(lngd_get_inverses(recipe.handle(), &view));
  CHECK_EQ(view.rank, 2);
  CHECK_EQ(view.device_type, device() == LNGD_DEVICE_CPU ? 1 : 2);
  CHECK_EQ(inverse_range(recipe, 0).count, 0);
  CHECK_EQ(inverse_range(recipe, 2).offset, 0);
  CHECK_EQ(inverse_range(recipe, 2).count, cost(recipe, 2).floats);
  CHECK_EQ(inverse_range(recipe, 5).offset, cost(recipe, 2).floats);
  CHECK_EQ(inverse_range(recipe, 5).count, cost(recipe, 0).floats + cost(recipe, 3).floats);
  const Optimizer nothing(config_of(), {parameter(3)});
  REQUIRE_OK(lngd_get_inverses(nothing.handle(), &view));
  CHECK(view.floats == nullptr && view.float_count == 0);
  REQUIRE_OK(lngd_share_inverses(nothing.handle(), owners, 1, 0));
  CHECK_EQ(inverse_range(nothing, 0).count, 0);
}

TEST(inverses_with_wrong_arguments) {
  const Optimizer optimizer(config_of(), three_layers());
  lngd_optimizer* const handle = optimizer.handle();
  for (const std::int32_t count : {0, 2, 4, -1, INT32_MAX}) {
    CHECK_EQ(lngd_share_inverses(handle, kOwners.data(), count, 0), LNGD_INVALID_ARGUMENT);
    CHECK(says("count") && says("allowed is 3"));
  }
  CHECK_EQ(lngd_share_inverses(handle, nullptr, 3, 0), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_share_inverses(handle, kOwners.data(), 3, -1), LNGD_INVALID_ARGUMENT);
  CHECK(says("rank is -1"));
  const std::int32_t negative[] = {0, 0, -1};
  CHECK_EQ(lngd_share_inverses(handle, negative, 3, 0), LNGD_INVALID_ARGUMENT);
  CHECK(says("owners[2] is -1"));
  CHECK_EQ(lngd_share_inverses(nullptr, kOwners.data(), 3, 0), LNGD_INVALID_HANDLE);
  lngd_inverses view{};
  CHECK_EQ(lngd_get_inverses(handle, nullptr), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_get_inverses(handle, &view), LNGD_INVALID_ARGUMENT);
  CHECK(says("struct_size"));
  view.struct_size = sizeof view;
  REQUIRE_OK(lngd_get_inverses(handle, &view));
  CHECK_EQ(view.rank, -1); // nothing was shared
  std::int64_t offset = 7, count = 7;
  double operations = 7;
  CHECK_EQ(lngd_inverse_range(handle, -1, &offset, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_inverse_range(handle, 0, nullptr, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_inverse_range(handle, 0, &offset, nullptr), LNGD_INVALID_ARGUMENT);
  for (const int layer : {-1, 3})
    CHECK_EQ(lngd_inverse_cost(handle, layer, &operations, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_inverse_cost(handle, 0, nullptr, &count), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_inverse_cost(handle, 0, &operations, nullptr), LNGD_INVALID_ARGUMENT);
  CHECK(offset == 7 && count == 7 && operations == 7);
  CHECK_EQ(lngd_inverses_received(handle), LNGD_INVALID_STATE);
  CHECK(says("no layer waits"));
  CHECK_EQ(lngd_inverses_received(nullptr), LNGD_INVALID_HANDLE);
}

// A step never goes on without inverses that are due, and says which.
TEST(inverses_that_a_step_waits_for) {
  Pair pair;
  Rank& rank = pair.second;
  pair.observe(0);
  const std::vector<std::uint8_t> before = weights_of(rank);
  CHECK_EQ(rank.step(), LNGD_INVALID_STATE);
  CHECK(says("layer 0") && says("lngd_refresh"));
  CHECK_EQ(rank.optimizer.health(0).statistics_updates, 0); // nothing was done
  CHECK(!rank.awaits(0) && !rank.awaits(2));
  pair.refresh();
  CHECK(rank.awaits(0) && !rank.awaits(1) && rank.awaits(2)); // its own too: all ranks exchange or none
  CHECK_EQ(rank.optimizer.health(0).inverse_updates, 0);
  CHECK_EQ(rank.optimizer.health(2).inverse_updates, 1);
  for (const Rank* each : pair.all()) {
    CHECK_EQ(lngd_step(each->plan, 1, nullptr), LNGD_INVALID_STATE);
    CHECK(says("layer 0") && says("owner 0") && says("lngd_inverses_received"));
    std::int32_t allowed = 1;
    CHECK_OK(lngd_replay(each->plan, 1, &allowed));
    CHECK_EQ(allowed, 0);
  }
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(rank.optimizer.handle(), &bytes));
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  CHECK_EQ(lngd_state_save(rank.optimizer.handle(), state.data(), bytes, nullptr), LNGD_INVALID_STATE);
  CHECK_EQ(lngd_share_inverses(rank.optimizer.handle(), nullptr, 0, 0), LNGD_INVALID_STATE); // there is a plan
  CHECK(says("plans"));
  CHECK(weights_of(rank) == before);
  broadcast_inverses(pair.all());
  for (const Rank* each : pair.all()) REQUIRE_OK(lngd_inverses_received(each->optimizer.handle()));
  CHECK(!rank.awaits(0) && !rank.awaits(2));
  CHECK_EQ(lngd_inverses_received(rank.optimizer.handle()), LNGD_INVALID_STATE);
  pair.refresh(); // nothing more is due
  CHECK(!rank.awaits(0));
  pair.step();
  pair.step(); // not due
  pair.observe(2);
  CHECK_EQ(rank.step(), LNGD_INVALID_STATE);
}

// An owner's range that was not broadcast, or is of another step, or of another history.
TEST(inverses_that_did_not_come) {
  Pair pair;
  pair.observe(0);
  pair.refresh();
  const std::vector<std::uint8_t> health = [&] {
    std::vector<std::uint8_t> bytes(sizeof(lngd_health));
    const lngd_health h = pair.second.optimizer.health(0);
    std::memcpy(bytes.data(), &h, sizeof h);
    return bytes;
  }();
  lngd_optimizer* const handle = pair.second.optimizer.handle();
  const auto unchanged = [&] {
    const lngd_health h = pair.second.optimizer.health(0);
    CHECK(std::memcmp(health.data(), &h, sizeof h) == 0);
    CHECK(pair.second.awaits(0));
    CHECK_EQ(pair.second.step(), LNGD_INVALID_STATE);
  };
  CHECK_EQ(lngd_inverses_received(handle), LNGD_INVALID_STATE);
  CHECK(says("owner 0") && says("layer 0"));
  unchanged();
  const std::vector<float> good = read_inverses(pair.first.optimizer);
  const Range range = inverse_range(pair.first.optimizer, 0);
  // The head of layer 0 leads its owner's range: whole numbers of the exchange, layer, has_inverse, block and pivot,
  // updates, retries, failures, and lambda of psi.
  struct Wrong {
    std::size_t byte, bytes;
    double value; // a whole number, or a double
    lngd_status status;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Wrong& w : {Wrong{0, 8, 2, LNGD_INVALID_STATE}, Wrong{0, 8, 0, LNGD_INVALID_STATE},
                         Wrong{8, 4, 2, LNGD_INVALID_STATE}, Wrong{12, 4, 2, LNGD_INVALID_ARGUMENT},
                         Wrong{12, 4, -1, LNGD_INVALID_ARGUMENT}, Wrong{16, 4, 2, LNGD_INVALID_ARGUMENT},
                         Wrong{16, 4, -2, LNGD_INVALID_ARGUMENT}, Wrong{20, 4, -2, LNGD_INVALID_ARGUMENT},
                         Wrong{24, 8, -1, LNGD_INVALID_ARGUMENT}, Wrong{24, 8, 2, LNGD_INVALID_ARGUMENT},
                         Wrong{32, 8, 99, LNGD_INVALID_ARGUMENT}, Wrong{40, 8, 3, LNGD_INVALID_ARGUMENT},
                         Wrong{48, 0, -1, LNGD_INVALID_ARGUMENT}, Wrong{48, 0, nan, LNGD_INVALID_ARGUMENT}}) {
    const Scope scope("byte " + std::to_string(w.byte) + ", " + std::to_string(w.value));
    std::vector<float> spoilt = good;
    char* const at = reinterpret_cast<char*>(spoilt.data() + range.offset) + w.byte;
    const auto whole = std::isnan(w.value) ? 0 : static_cast<std::int64_t>(w.value);
    const auto small = static_cast<std::int32_t>(whole);
    if (w.bytes == 0) std::memcpy(at, &w.value, sizeof w.value);
    if (w.bytes == 4) std::memcpy(at, &small, sizeof small);
    if (w.bytes == 8) std::memcpy(at, &whole, sizeof whole);
    write_inverses(pair.second.optimizer, spoilt, range);
    CHECK_EQ(lngd_inverses_received(handle), w.status);
    CHECK(says("owner 0") && says("layer 0") && says("allowed"));
    unchanged();
  }
  broadcast_inverses(pair.all());
  for (const Rank* each : pair.all()) REQUIRE_OK(lngd_inverses_received(each->optimizer.handle()));
  pair.step();
  pair.step();
  pair.observe(2);
  pair.refresh();
  write_inverses(pair.second.optimizer, good, range); // of the exchange before
  CHECK_EQ(lngd_inverses_received(handle), LNGD_INVALID_STATE);
  // A broadcast that failed half-way, in the own range too: once more.
  const std::vector<float> garbage(good.size(), std::numeric_limits<float>::quiet_NaN());
  write_inverses(pair.second.optimizer, garbage, range);
  pair.refresh();
  broadcast_inverses(pair.all());
  for (const Rank* each : pair.all()) REQUIRE_OK(lngd_inverses_received(each->optimizer.handle()));
  pair.step();
}

// A layer that is due and that nobody observes is inverted by the refresh, from its old average; without sums it is not
// left to the step, which could not.
TEST(inverses_of_a_layer_that_nobody_observed) {
  lngd_config config = config_of();
  config.statistics_interval = config.inverse_interval = 1;
  Pair pair(config);
  Rank plain(config, three_layers());
  pair.observe(0);
  plain.observe(0, 0, 5);
  for (int t = 0; t < 3; ++t) {
    for (Rank* rank : {&pair.first, &pair.second, &plain}) {
      if (t == 1) REQUIRE_OK(rank->observe_layer(2, t, 0, 5)); // and not layer 0
      rank->fill_gradients(t);
    }
    CHECK(exchange_inverses(pair.all()));
    pair.observe(t); // too late: does nothing
    pair.step();
    REQUIRE_OK(plain.step());
    CHECK(plain.optimizer.state() == pair.second.optimizer.state());
    CHECK(weights_of(plain) == weights_of(pair.second));
  }
}

// Two plans of one optimizer, exchanged one after the other and together.
TEST(inverses_of_two_plans) {
  for (const bool together : {true, false}) {
    const Scope scope(together ? "together" : "one after the other");
    Pair pair(config_of(), {0, 9, 0}); // the first has both
    Rank plain(config_of(), three_layers());
    std::vector<lngd_plan*> plans;
    for (Rank* rank : pair.all())
      for (const std::vector<int>& layers : {std::vector<int>{0, 1}, std::vector<int>{2}}) {
        std::vector<lngd_binding> bindings;
        for (const int layer : layers) bindings.push_back(rank->binding(layer));
        plans.push_back(nullptr);
        REQUIRE_OK(lngd_plan_create(rank->optimizer.handle(), bindings.data(), static_cast<int>(bindings.size()),
                                    LNGD_UPDATE_WEIGHTS, &plans.back()));
      }
    for (int t = 0; t < 3; ++t) {
      pair.observe(t);
      plain.observe(t, 0, 5);
      plain.fill_gradients(t);
      const auto exchange = [&](std::size_t first, std::size_t last) {
        for (std::size_t p = first; p <= last; ++p)
          for (const std::size_t r : {std::size_t{0}, std::size_t{1}}) REQUIRE_OK(lngd_refresh(plans[2 * r + p]));
        if (!pair.first.awaits(first == 0 ? 0 : 2)) return;
        if (first == 1) { // what the exchange before has left does not pass for this one
          CHECK_EQ(lngd_inverses_received(pair.second.optimizer.handle()), LNGD_INVALID_STATE);
          CHECK(says("layer 2"));
        }
        broadcast_inverses(pair.all());
        for (const Rank* each : pair.all()) REQUIRE_OK(lngd_inverses_received(each->optimizer.handle()));
      };
      if (together)
        exchange(0, 1);
      else
        exchange(0, 0), exchange(1, 1);
      for (lngd_plan* plan : plans) REQUIRE_OK(lngd_step(plan, 1, nullptr));
      REQUIRE_OK(plain.step());
      for (const Rank* each : pair.all()) {
        CHECK(each->optimizer.state() == plain.optimizer.state());
        CHECK(weights_of(*each) == weights_of(plain));
      }
    }
    for (lngd_plan* plan : plans) REQUIRE_OK(lngd_plan_destroy(plan));
  }
}

// The state knows nothing of owners: from one that shares into one that does not, and while inverses are awaited.
TEST(inverses_and_the_state) {
  Pair pair;
  Rank plain(config_of(), three_layers());
  const auto step = [&](int t) {
    pair.observe(t);
    plain.observe(t, 0, 5);
    plain.fill_gradients(t);
    exchange_inverses(pair.all());
    pair.step();
    REQUIRE_OK(plain.step());
  };
  for (int t = 0; t < 3; ++t) step(t);
  const std::vector<std::uint8_t> state = pair.first.optimizer.state();
  const auto restore = [&](const Rank& rank) {
    REQUIRE_OK(lngd_state_restore(rank.optimizer.handle(), state.data(), static_cast<std::int64_t>(state.size())));
  };
  for (int t = 3; t < 6; ++t) step(t);
  pair.observe(6);
  pair.refresh();
  CHECK(pair.first.awaits(0));
  for (const Rank* rank : {&pair.first, &pair.second, &plain}) restore(*rank);
  CHECK(!pair.first.awaits(0) && !pair.second.awaits(2));
  CHECK(pair.first.optimizer.state() == state);
  step(3);
  pair.observe(4);
  pair.refresh(); // step 4 again: what was exchanged at the first time does not pass for it
  CHECK_EQ(lngd_inverses_received(pair.second.optimizer.handle()), LNGD_INVALID_STATE);
  CHECK(says("layer 0"));
  for (const Rank* rank : {&pair.first, &pair.second, &plain}) restore(*rank);
  for (int t = 3; t < 6; ++t) {
    step(t);
    CHECK(plain.optimizer.state() == pair.second.optimizer.state());
    CHECK(weights_of(plain) == weights_of(pair.second));
  }
}
