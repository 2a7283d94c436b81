// SPDX-License-Identifier: Apache-2.0
//
// Damaged states. Their checksum is made right again in most cases, so that the damage gets beyond it.
#include "calls.hpp"

#include <algorithm>
#include <cstring>

namespace fuzz {
namespace {

std::uint64_t fnv1a(const unsigned char* data, std::size_t bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ data[i]) * 0x100000001b3ull;
  return hash;
}

void damage(std::vector<unsigned char>& state, Random& random) {
  const auto any = [&] { return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(state.size()))); };
  switch (random.below(5)) {
    case 0: // bits
      for (std::int64_t k = random.between(1, 8); k > 0; --k)
        state[any()] ^= static_cast<unsigned char>(1 << random.below(8));
      break;
    case 1: { // a number that nobody expects, most of them in the header and the settings
      const std::size_t at = random.once_in(2) ? any() : static_cast<std::size_t>(random.below(200));
      const std::uint64_t value =
          random.of<std::uint64_t>({0, 1, ~0ull, 1ull << 63, 0x7ff0000000000000ull, 0x7ff8000000000000ull, 0x7f800000});
      if (at + 8 <= state.size()) std::memcpy(&state[at], &value, 8);
      break;
    }
    case 2: // cut off
      state.resize(any());
      break;
    case 3: // a stretch of it somewhere else
      if (state.size() > 64) std::copy_n(state.begin() + random.below(32), 32, state.end() - 32 - random.below(32));
      break;
    default: // longer
      state.resize(state.size() + static_cast<std::size_t>(random.between(1, 64)));
      break;
  }
}

} // namespace

void one_state(World& world, Random& random) {
  const std::vector<unsigned char> good = world.state();
  if (good.empty()) { // between an observation and its step
    lngd_discard(world.optimizer, LNGD_ALL_LAYERS);
    return;
  }
  std::vector<unsigned char> bad = good;
  damage(bad, random);
  if (bad.size() > 8 && !random.once_in(4)) {
    const std::uint64_t sum = fnv1a(bad.data(), bad.size() - 8);
    std::memcpy(bad.data() + bad.size() - 8, &sum, 8);
  }
  const World::Snapshot before = world.snapshot();
  const lngd_status status = lngd_state_restore(world.optimizer, bad.data(), static_cast<std::int64_t>(bad.size()));
  if (status != LNGD_OK) {
    if (!(world.snapshot() == before)) found("a state that was refused changed something");
    return;
  }
  // Whatever is in it now, steps with it must not crash; then back to what was.
  for (int k = 0; k < 2; ++k) {
    for (std::size_t i = 0; i < world.layers.size(); ++i) {
      const auto inputs = world.inputs(i, 3), signal = world.signal(i, 3);
      signal->fill_ordinary(random);
      const lngd_tensor a = inputs->view(), s = signal->view();
      lngd_observe(world.optimizer, static_cast<std::int32_t>(i), &a, &s, world.signal_kind(i));
    }
    lngd_step(world.plan, 1, nullptr);
    world.check_guards();
  }
  const auto size = static_cast<std::int64_t>(good.size());
  if (lngd_state_restore(world.optimizer, good.data(), size) != LNGD_OK)
    found(std::string("a good state is refused: ") + lngd_last_error());
  if (world.state() != good) found("a restored state is another one");
  for (const auto& layer : world.tensors) // NaN may have got into them
    for (Buffer* buffer : {&layer->weights, &layer->bias}) buffer->fill_ordinary(random);
}

} // namespace fuzz
