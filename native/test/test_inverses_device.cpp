// SPDX-License-Identifier: Apache-2.0
//
// Inverses in and out on a device: a broadcast that is enqueued on the caller's stream, in all orders of streams.
// Failures of its calls are in test_faults.cpp.
#include <string>

#include "device.hpp"
#include "reduction.hpp"

using namespace conformance;

// What the caller enqueues on his stream after lngd_refresh comes after the inverses, and lngd_inverses_received after
// that: nothing waits in between.
TEST(inverses_in_the_order_of_the_stream) {
  const lngd::DeviceHooks& hooks = device_hooks();
  for (const int overlap : {0, 1})
    for (const int order : {0, 1, 2}) {
      const Scope scope("overlap " + std::to_string(overlap) + ", order " + std::to_string(order));
      const Schedule schedule(order, 7);
      const Stream stream;
      lngd_config config = small_config(LNGD_PRESET_RECIPE);
      config.overlap = overlap;
      const std::vector<lngd_layer_config> layers = {dense(7, 4), dense(5, 3, false)};
      Rank plain(config, layers), first(config, layers, false, {0, 1}, 0), second(config, layers, false, {0, 1}, 1);
      for (const Rank* rank : {&first, &second}) REQUIRE_OK(lngd_set_stream(rank->optimizer.handle(), stream.handle()));
      for (int t = 0; t < 3; ++t) {
        for (Rank* rank : {&plain, &first, &second}) {
          rank->observe(t, 0, 9);
          rank->fill_gradients(t);
          if (rank != &plain) REQUIRE_OK(lngd_refresh(rank->plan));
        }
        for (const int owner : {0, 1}) {
          const Rank &from = owner == 0 ? first : second, &to = owner == 0 ? second : first;
          const Range range = inverse_range(from.optimizer, owner);
          lngd_inverses source{}, target{};
          source.struct_size = target.struct_size = sizeof source;
          REQUIRE_OK(lngd_get_inverses(from.optimizer.handle(), &source));
          REQUIRE_OK(lngd_get_inverses(to.optimizer.handle(), &target));
          REQUIRE(hooks.copy_on_device(target.floats + range.offset, source.floats + range.offset,
                                       static_cast<std::size_t>(range.count) * sizeof(float), stream.handle()) == 0);
        }
        for (const Rank* rank : {&first, &second}) REQUIRE_OK(lngd_inverses_received(rank->optimizer.handle()));
        for (Rank* rank : {&plain, &first, &second}) REQUIRE_OK(rank->step());
        for (const Rank* rank : {&first, &second}) {
          CHECK(rank->optimizer.state() == plain.optimizer.state());
          for (std::size_t i = 0; i < layers.size(); ++i)
            CHECK(rank->tensors[i].weights->bytes() == plain.tensors[i].weights->bytes());
        }
      }
    }
}
