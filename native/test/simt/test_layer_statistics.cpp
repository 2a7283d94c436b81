// SPDX-License-Identifier: Apache-2.0
// layer_statistics.cu against the sums of spec section 2 in double precision.
#include "dense_batch.hpp"

namespace {

using namespace fixture;
void launch(const Batch& batch, Sums& sums, int64_t first = 0, int64_t count = -1) {
  LayerMemory memory = sums.memory();
  CHECK_EQ(
      lngd::cuda::launch_layer_statistics(batch.args(&memory, first, count), batch.room(), batch.c.precision, nullptr),
      cudaSuccess);
  finish_launches();
}

// tanh: 1 - t^2 from fast_exp, 16 roundings; near the ends, where slopes are small, they are relative too.
constexpr double kTanhError = 32 * kFloatEps;

void check_case(const Case& c) {
  const conformance::Scope scope(text(c));
  const Batch batch(c);
  Sums sums(batch.shape);
  launch(batch, sums);
  check_sums(batch.shape, sums, {batch.twin()}, c.precision, kTanhError);
  CHECK_EQ(sums.record().samples, c.samples);
  CHECK_EQ(sums.record().poisoned, 0);
  CHECK_EQ(batch.inputs.read() == batch.a, true); // and nothing between
}

void begin(const Schedule& schedule = kSchedules[0], const char* device = nullptr) {
  start();
  REQUIRE(simt::set_device(device));
  REQUIRE(lngd::cuda::prepare_layer_statistics(simt::device().shared_per_block) == cudaSuccess);
  simt::set_schedule(schedule.order, schedule.seed);
}

} // namespace

// Each size of tile, ragged in both directions, with a bias inside a tile, alone in a block, and at a multiple of 4;
// rows that fill the pipeline more than once, and rows for fewer chunks than it has stages.
TEST(kernel_layer_statistics_shapes) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    const bool all = schedule.order == simt::Order::Forward;
    check_case({150, 128, 5, true, 128, Layout::Rows});
    check_case({130, 30, 9, true, 0, Layout::Rows});
    check_case({193, 50, 70, true, 0, Layout::OffByOne});
    if (!all) continue;
    check_case({1, 1, 1, false, 128, Layout::Rows});
    check_case({1, 4, 1, true, 128, Layout::PaddedRows});
    check_case({31, 20, 3, true, 16, Layout::Rows});
    check_case({9, 75, 520, true, 32, Layout::PaddedRows});
    check_case({40, 130, 33, true, 64, Layout::Rows});
    check_case({33, 300, 12, false, 128, Layout::Rows});
    check_case({33, 200, 12, true, 100, Layout::Rows});
  }
  begin();
}

// Off-diagonal tiles, and several tiles in one of several blocks.
TEST(kernel_layer_statistics_full_factor) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    check_case({129, 140, 6, true, 0, Layout::Rows, Precision::TripleTf32, 1});
    if (schedule.order != simt::Order::Forward) continue;
    check_case({40, 270, 6, true, 0, Layout::PaddedRows});
    check_case({65, 300, 6, false, 160, Layout::OffByOne});
    for (const Precision precision : {Precision::Float32, Precision::Tf32, Precision::Bfloat16})
      check_case({70, 150, 6, true, 0, Layout::Rows, precision});
  }
  begin();
}

TEST(kernel_layer_statistics_layouts) {
  begin();
  for (const Layout layout : kLayouts) {
    check_case({37, 45, 70, true, 0, layout});
    check_case({37, 131, 5, false, 128, layout});
    check_case({70, 20, 5, true, 0, layout});
    check_case({34, 140, 5, true, 0, layout});
  }
}

TEST(kernel_layer_statistics_precisions) {
  begin();
  for (const Precision precision : {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16}) {
    check_case({100, 120, 6, true, 128, Layout::Rows, precision});
    check_case({140, 60, 6, true, 128, Layout::Rows, precision});
    check_case({260, 24, 6, true, 128, Layout::Rows, precision});
  }
}

// One block for all rows, and as many as there are chunks: the same sums; and the same bits from the same call.
TEST(kernel_layer_statistics_splits) {
  begin();
  for (const int32_t multiprocessors : {1, 3, 132})
    check_case({300, 40, 9, true, 0, Layout::Rows, Precision::TripleTf32, multiprocessors});
  const Batch batch({300, 40, 9, true, 0, Layout::Rows, Precision::TripleTf32, 132});
  Sums one(batch.shape), two(batch.shape);
  launch(batch, one);
  simt::set_schedule(simt::Order::Random, 77);
  launch(batch, two);
  CHECK(one.phi() == two.phi() && one.psi() == two.psi() && one.denominator() == two.denominator());
  begin();
}

// The depth of the pipeline goes by the device's shared memory: three stages or two, the same bits. Several chunks, off
// the diagonal and on it, rows of 16 bytes and rows that are none.
TEST(kernel_layer_statistics_devices) {
  for (const Precision precision : {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16})
    for (const Layout layout : {Layout::Rows, Layout::OffByOne}) {
      std::vector<float> first;
      for (const char* device : {"sm_80", "sm_86", "sm_90", "sm_120"}) {
        if (std::string(device) != "sm_80" && std::string(device) != "sm_86" && precision != Precision::Tf32) continue;
        const conformance::Scope scope(device);
        begin(kSchedules[0], device);
        const Batch batch({100, 140, 6, true, 0, layout, precision});
        Sums sums(batch.shape);
        launch(batch, sums);
        check_sums(batch.shape, sums, {batch.twin()}, precision, kTanhError);
        if (first.empty()) first = sums.phi();
        CHECK(sums.phi() == first);
        check_case({110, 70, 6, true, 128, layout, precision});
        check_case({270, 40, 6, false, 64, layout, precision});
      }
    }
  begin();
}

// More rows than the row pass takes at once, and more columns than it sums at once.
TEST(kernel_layer_statistics_row_batches) {
  begin();
  Case c{1100, 3, 530, true, 128, Layout::Rows};
  c.multiprocessors = 1; // 550 rows for each of two blocks: batches of 256, 256 and 38
  check_case(c);
  c.fisher = LNGD_FISHER_SAMPLED;
  c.activation = LNGD_ACTIVATION_IDENTITY;
  check_case(c);
  begin();
}

TEST(kernel_layer_statistics_micro_batches_add_up) {
  begin();
  Case c{70, 30, 6, true, 0, Layout::Rows};
  c.fisher = LNGD_FISHER_SAMPLED; // the numbering goes on
  c.activation = LNGD_ACTIVATION_IDENTITY;
  const Batch batch(c);
  Sums sums(batch.shape);
  launch(batch, sums, 0, 23);
  launch(batch, sums, 23, 1);
  launch(batch, sums, 24, 46);
  check_sums(batch.shape, sums, {batch.twin()}, c.precision, 8 * kFloatEps);
  CHECK_EQ(sums.record().samples, 70);
}

// NaN, Inf, and numbers whose squares overflow, in either tensor; and an update that is poisoned stays so.
TEST(kernel_layer_statistics_poison) {
  begin();
  for (const float bad : {std::nanf(""), INFINITY, 1e30f})
    for (const bool in_signal : {false, true}) {
      Case c{20, 10, 4, true, 0, Layout::Rows};
      c.activation = LNGD_ACTIVATION_IDENTITY;
      c.signal_kind = LNGD_SIGNAL_GRADIENTS;
      Batch batch(c);
      (in_signal ? batch.x : batch.a)[17] = bad;
      const Batch healthy(c);
      Tensor& tensor = in_signal ? batch.signal : batch.inputs;
      tensor = Tensor(20, in_signal ? 4 : 10, Layout::Rows, in_signal ? batch.x : batch.a);
      Sums sums(batch.shape);
      launch(healthy, sums);
      CHECK_EQ(sums.record().poisoned, 0);
      launch(batch, sums);
      CHECK_EQ(sums.record().poisoned, 1);
      launch(healthy, sums);
      CHECK_EQ(sums.record().poisoned, 1);
      CHECK_EQ(sums.record().samples, 60);
    }
}

// A dead layer: zeros everywhere are sums of zero, not poison.
TEST(kernel_layer_statistics_dead_layer) {
  begin();
  Case c{20, 10, 4, true, 0, Layout::Rows};
  c.activation = LNGD_ACTIVATION_RELU;
  Batch batch(c);
  for (float& x : batch.x) x = -1 - x * x;
  batch.signal = Tensor(20, 4, Layout::Rows, batch.x);
  Sums sums(batch.shape);
  launch(batch, sums);
  CHECK_EQ(sums.record().poisoned, 0);
  CHECK_EQ(sums.denominator()[0], 0.0);
  check_sums(batch.shape, sums, {batch.twin()}, c.precision, 0);
}

TEST(kernel_layer_statistics_refuses) {
  begin();
  const Batch batch({20, 10, 4, true, 0, Layout::Rows});
  Sums sums(batch.shape);
  LayerMemory memory = sums.memory();
  StatisticsWorkspace room = batch.room();
  --room.bytes;
  CHECK_EQ(lngd::cuda::launch_layer_statistics(batch.args(&memory), room, Precision::Tf32, nullptr),
           cudaErrorInvalidValue);
  StatisticsArgs none = batch.args(&memory);
  none.samples = 0;
  CHECK_EQ(lngd::cuda::launch_layer_statistics(none, batch.room(), Precision::Tf32, nullptr), cudaSuccess);
  // Every launch that fails is told.
  for (int nth = 1; nth <= 3; ++nth) {
    simt::inject_fault("launch", nth, cudaErrorLaunchOutOfResources);
    CHECK_EQ(lngd::cuda::launch_layer_statistics(batch.args(&memory), batch.room(), Precision::Tf32, nullptr),
             cudaErrorLaunchOutOfResources);
  }
  // Room for many samples is room for fewer, whatever the splits.
  for (const int32_t multiprocessors : {1, 7, 108})
    for (const int32_t block : {0, 128, 32}) {
      LayerShape shape = shape_of({1, 700, 9, true, block, Layout::Rows});
      size_t before = 0;
      int64_t shrunk = 0;
      for (int64_t samples = 1; samples < 3000; samples += 7) {
        const size_t bytes = lngd::cuda::layer_statistics_workspace(shape, samples, multiprocessors);
        shrunk += bytes < before;
        before = bytes;
      }
      CHECK_EQ(shrunk, 0);
    }
}
