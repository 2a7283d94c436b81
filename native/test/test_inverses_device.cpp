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

// A graph must not step with inverses that are still awaited.
TEST(inverses_that_a_graph_waits_for) {
  device_hooks();
  lngd_config config = small_config(LNGD_PRESET_RECIPE);
  config.statistics_interval = config.inverse_interval = 3;
  const Optimizer optimizer(config, {dense(7, 4, false, LNGD_ACTIVATION_TANH)});
  lngd_optimizer* const handle = optimizer.handle();
  const std::int32_t owners[] = {0};
  REQUIRE_OK(lngd_share_inverses(handle, owners, 1, 0));
  Random random(3);
  Tensor weights(4, 7), gradients(4, 7), inputs(9, 7), signal(9, 4);
  for (Tensor* tensor : {&weights, &gradients, &inputs, &signal})
    tensor->fill(random_matrix(tensor->rows(), tensor->cols(), &random));
  const OnDevice weights_there(handle, weights), gradients_there(handle, gradients);
  lngd_binding binding{};
  binding.weights = weights_there.view();
  binding.weight_gradients = gradients_there.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(handle, &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  const auto observe = [&] {
    REQUIRE_OK(lngd_observe(handle, 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  };
  const auto allowed = [&] {
    std::int32_t answer = -1;
    REQUIRE_OK(lngd_replay(plan, 1, &answer));
    return answer;
  };
  observe();
  REQUIRE_OK(lngd_refresh(plan));
  CHECK_EQ(allowed(), 0);
  REQUIRE_OK(lngd_inverses_received(handle));
  CHECK_EQ(allowed(), 1); // that was step 0
  CHECK_EQ(allowed(), 1);
  CHECK_EQ(allowed(), 1);
  CHECK_EQ(allowed(), 0); // inverses are due
  observe();
  REQUIRE_OK(lngd_refresh(plan));
  CHECK_EQ(allowed(), 0);
  REQUIRE_OK(lngd_inverses_received(handle));
  CHECK_EQ(allowed(), 1);
  CHECK_EQ(optimizer.health(0).inverse_updates, 2);
  REQUIRE_OK(lngd_plan_destroy(plan));
}
