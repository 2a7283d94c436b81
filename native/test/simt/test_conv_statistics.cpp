// SPDX-License-Identifier: Apache-2.0
// conv_statistics.cu against patches that are written out, in double precision.
#include "conv_batch.hpp"

namespace {

using namespace conv_fixture;

void launch(const Batch& batch, Sums& sums, int64_t first = 0, int64_t count = -1) {
  LayerMemory memory = sums.memory();
  CHECK_EQ(
      lngd::cuda::launch_conv_statistics(batch.args(&memory, first, count), batch.room(), batch.c.precision, nullptr),
      cudaSuccess);
  finish_launches();
}

void check_case(const Case& c) {
  const conformance::Scope scope(text(c));
  const Batch batch(c);
  Sums sums(batch.shape);
  launch(batch, sums);
  check_sums(batch.shape, sums, batch.twin(), c.precision, 8 * kFloatEps); // relu: q is 0 or 1
  CHECK_EQ(sums.record().samples, c.samples);
  CHECK_EQ(sums.record().poisoned, 0);
}

void begin(const Schedule& schedule = kSchedules[0], const char* device = nullptr) {
  start();
  REQUIRE(simt::set_device(device));
  REQUIRE(lngd::cuda::prepare_conv_statistics(simt::device().shared_per_block) == cudaSuccess);
  simt::set_schedule(schedule.order, schedule.seed);
}

} // namespace

// Every geometry in every order of memory.
TEST(kernel_conv_statistics_geometries) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const Order order : kOrders) {
      if (schedule.order != simt::Order::Forward && order != Order::Nhwc) continue;
      ConvGeometry uneven = square(3, 2, 1);
      uneven.kernel[0] = 2;
      uneven.stride[1] = 1;
      uneven.after[0] = 0;
      uneven.before[1] = 2;
      uneven.dilation[1] = 2;
      check_case({2, 3, 5, 7, 9, square(3, 1, 1), 1, true, 128, order});
      check_case({3, 4, 5, 6, 5, square(1, 1, 0), 1, true, 128, order});
      check_case({3, 8, 5, 6, 5, square(1, 2, 0), 1, false, 128, order});
      check_case({2, 2, 3, 9, 9, square(3, 2, 0, 2), 1, false, 128, order});
      check_case({2, 3, 4, 6, 8, uneven, 1, true, 128, order});
      check_case({3, 5, 4, 1, 20, line(5, 2, 3, 1, 2), 1, true, 128, order});
      check_case({2, 6, 4, 5, 5, square(3, 1, 1), 2, true, 128, order});
    }
  }
  begin();
}

// Blocks that cut channels apart, off-diagonal tiles, every size of tile, depthwise groups.
TEST(kernel_conv_statistics_blocks) {
  begin();
  for (const Order order : {Order::Nchw, Order::Nhwc}) {
    check_case({2, 16, 6, 6, 6, square(3, 1, 1), 1, true, 128, order});   // 128 + 17
    check_case({1, 16, 6, 6, 6, square(3, 1, 1), 1, true, 0, order});     // 145: 3 tiles
    check_case({2, 16, 6, 5, 5, square(3, 1, 1), 1, true, 40, order});    // four blocks
    check_case({2, 7, 6, 8, 8, square(3, 1, 1), 1, false, 128, order});   // 63
    check_case({3, 6, 6, 8, 8, square(3, 1, 1), 6, true, 128, order});    // depthwise
    check_case({3, 6, 12, 8, 8, square(3, 1, 1), 6, false, 5, order});    // and two blocks each
    check_case({2, 136, 70, 5, 4, square(1, 1, 0), 1, true, 128, order}); // 1 x 1
    check_case({2, 24, 8, 5, 4, square(1, 1, 0), 2, true, 128, order});   // in groups
    check_case({2, 12, 8, 5, 4, square(1, 1, 0), 2, false, 128, order});  // of 6: no quads
  }
}

// Channels side by side, 16 bytes at a time where four of them begin with a multiple of 4: channels that are and are
// not, groups that begin with one and do not, dilation, blocks that cut channels apart, several chunks, two stages and
// three.
TEST(kernel_conv_statistics_channels_last) {
  for (const char* device : {"sm_80", "sm_86", "sm_90"})
    for (const Schedule& schedule : kSchedules) {
      if (schedule.order != simt::Order::Forward && std::string(device) != "sm_86") continue;
      const conformance::Scope scope(device);
      begin(schedule, device);
      const auto check = [](Case c) {
        c.order = Order::Nhwc;
        check_case(c);
      };
      check({4, 20, 6, 5, 5, square(3, 1, 1), 1, true, 128});  // 128 + 53, 4 chunks
      check({4, 16, 6, 5, 6, square(3, 1, 2, 2), 1, true, 0}); // dilation; a square tile and one of 17 below it
      check({3, 24, 6, 4, 5, square(3, 1, 1), 2, false, 128}); // groups of 12: quads
      check({5, 12, 6, 4, 5, square(3, 1, 1), 2, true, 128});  // groups of 6: quads of the first begin with 0, of the
                                                               // second with 2
      if (schedule.order != simt::Order::Forward || std::string(device) != "sm_80") continue;
      check({3, 10, 6, 6, 6, square(3, 2, 1), 1, true, 128}); // no quads
      check({2, 12, 6, 7, 7, square(5, 1, 2), 1, true, 100}); // 25 elements, blocks that begin amid a channel
      check({9, 8, 6, 4, 4, square(2, 1, 0), 1, true, 128});  // 33 columns
      check({9, 4, 6, 6, 4, square(2, 2, 0), 1, true, 128});  // 17 columns
    }
  begin();
}

TEST(kernel_conv_statistics_precisions) {
  begin();
  for (const Precision precision : {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16}) {
    check_case({2, 12, 6, 6, 6, square(3, 1, 1), 1, true, 128, Order::Nchw, precision});
    check_case({2, 16, 6, 4, 6, square(3, 1, 1), 1, true, 0, Order::Nhwc, precision});
    check_case({2, 3, 6, 9, 9, square(3, 1, 1), 1, true, 128, Order::Nhwc, precision});
  }
}

// Many rows for few blocks: chunks one after another in the row pass, splits in weighted_syrk; wide signals.
TEST(kernel_conv_statistics_splits) {
  for (const Schedule& schedule : kSchedules) {
    begin(schedule);
    for (const int32_t multiprocessors : {1, 132}) {
      Case c{5, 3, 140, 12, 12, square(3, 1, 1)};
      c.multiprocessors = multiprocessors;
      check_case(c);
    }
  }
  begin();
}

// The noise has the number ((first_sample + n) positions + position) outputs + i, in every group.
TEST(kernel_conv_statistics_sampled) {
  begin();
  for (const int64_t groups : {1, 3})
    for (const int32_t output : {LNGD_OUTPUT_HIDDEN, LNGD_OUTPUT_SIGMOID}) {
      Case c{5, 3, 9, 5, 4, square(3, 1, 0), groups};
      c.fisher = LNGD_FISHER_SAMPLED;
      c.activation = LNGD_ACTIVATION_IDENTITY;
      c.output = output;
      c.first_sample = 2;
      const conformance::Scope scope(text(c));
      const Batch batch(c);
      Sums sums(batch.shape);
      launch(batch, sums, 0, 2);
      launch(batch, sums, 2, 3);
      check_sums(batch.shape, sums, batch.twin(), c.precision, 16 * kFloatEps); // normals rounded, squared
    }
}

// q, r and c of every position, row by row.
TEST(kernel_conv_statistics_rows) {
  begin();
  for (const Order order : kOrders) {
    Case c{2, 6, 10, 5, 7, square(3, 2, 1), 2};
    c.order = order;
    const conformance::Scope scope(text(c));
    const Batch batch(c);
    const auto rows = static_cast<size_t>(c.samples * c.positions());
    const Array<float> q(rows * 10), r(rows * 2), c_of(rows * 2);
    CHECK_EQ(
        lngd::cuda::launch_conv_fisher_rows(batch.args(nullptr), batch.room(), {q.data, r.data, c_of.data}, nullptr),
        cudaSuccess);
    finish_launches();
    const std::vector<float> q_read = q.read(), r_read = r.read(), c_read = c_of.read();
    const std::vector<RowTwin> twin = batch.twin();
    for (size_t n = 0; n < rows; ++n)
      for (size_t g = 0; g < 2; ++g) {
        const auto row = static_cast<int64_t>(n);
        for (size_t i = 0; i < 5; ++i) CHECK_EQ(double{q_read[n * 10 + g * 5 + i]}, twin[g].q[n * 5 + i]); // 0 or 1
        CHECK_EQ(double{r_read[n * 2 + g]}, twin[g].r(row));
        CHECK_NEAR(c_read[n * 2 + g], twin[g].c(row), 8 * kFloatEps * twin[g].c(row)); // squares of 3, rounded
      }
  }
}

// A NaN that a patch reads, and one that only padding or stride leave unread.
TEST(kernel_conv_statistics_poison) {
  begin();
  for (const bool read : {true, false}) {
    Case c{2, 2, 3, 5, 5, square(1, 2, 0)};
    Batch batch(c);
    batch.a[read ? 12 : 6] = std::nanf(""); // (2, 2) and (1, 1) of the first channel
    batch.store();
    Sums sums(batch.shape);
    launch(batch, sums);
    CHECK_EQ(sums.record().poisoned, read ? 1 : 0);
    if (!read) check_sums(batch.shape, sums, batch.twin(), c.precision, 8 * kFloatEps);
  }
  // In the signal of one group of three.
  Case c{2, 3, 3, 5, 5, square(3, 1, 1), 3};
  Batch batch(c);
  batch.x[30] = std::nanf("");
  batch.store();
  Sums sums(batch.shape);
  launch(batch, sums);
  CHECK_EQ(sums.record().poisoned, 1);
}

TEST(kernel_conv_statistics_refuses) {
  begin();
  const Batch batch({2, 2, 3, 5, 5, square(3, 1, 1)});
  Sums sums(batch.shape);
  LayerMemory memory = sums.memory();
  StatisticsWorkspace room = batch.room();
  --room.bytes;
  CHECK_EQ(lngd::cuda::launch_conv_statistics(batch.args(&memory), room, Precision::Tf32, nullptr),
           cudaErrorInvalidValue);
  ConvStatisticsArgs large = batch.args(&memory);
  large.samples = INT32_MAX / 25 + 1; // rows beyond 31 bits
  CHECK_EQ(lngd::cuda::launch_conv_statistics(large, batch.room(), Precision::Tf32, nullptr), cudaErrorInvalidValue);
  for (int nth = 1; nth <= 4; ++nth) {
    simt::inject_fault("launch", nth, cudaErrorLaunchOutOfResources);
    CHECK_EQ(lngd::cuda::launch_conv_statistics(batch.args(&memory), batch.room(), Precision::Tf32, nullptr),
             cudaErrorLaunchOutOfResources);
  }
}
