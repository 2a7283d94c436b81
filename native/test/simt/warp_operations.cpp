// SPDX-License-Identifier: Apache-2.0
// Warp functions, tensor core products and asynchronous copies. Operands of a warp function lie on the stacks of its 32
// lanes; the last lane to arrive does the work of all.
#include <cfenv>

#include "emulator.hpp"

namespace simt {
namespace {

void full_mask(unsigned mask, const char* what, const void* site) {
  if (mask != 0xffffffffu) report(Kind::Usage, std::string(what) + " without the full mask at " + source_line(site));
}

struct ShuffleOperand {
  uint64_t bits;
  Shuffle kind;
  int operand, width;
  uint64_t result;
};

void do_shuffle(void* const* operands) {
  for (int lane = 0; lane < kWarp; ++lane) {
    ShuffleOperand& me = *static_cast<ShuffleOperand*>(operands[lane]);
    const int first = lane / me.width * me.width, last = first + me.width - 1;
    int from = lane;
    if (me.kind == Shuffle::Index) from = first + (me.operand & (me.width - 1));
    if (me.kind == Shuffle::Up) from = lane - me.operand < first ? lane : lane - me.operand;
    if (me.kind == Shuffle::Down) from = lane + me.operand > last ? lane : lane + me.operand;
    if (me.kind == Shuffle::Xor) from = (lane ^ me.operand) > last ? lane : lane ^ me.operand;
    me.result = static_cast<ShuffleOperand*>(operands[from])->bits;
  }
}

struct VoteOperand {
  Vote kind;
  int predicate;
  unsigned result;
};

void do_vote(void* const* operands) {
  unsigned ballot = 0;
  for (int lane = 0; lane < kWarp; ++lane)
    if (static_cast<VoteOperand*>(operands[lane])->predicate) ballot |= 1u << lane;
  for (int lane = 0; lane < kWarp; ++lane) {
    VoteOperand& me = *static_cast<VoteOperand*>(operands[lane]);
    me.result = me.kind == Vote::Ballot ? ballot : me.kind == Vote::Any ? ballot != 0 : ballot == 0xffffffffu;
  }
}

void do_syncwarp(void* const*) { ++block.warps[current->id / kWarp].epoch; }

struct MatrixOperand {
  uint32_t* registers;
  const char* row;
};

uint32_t half_word(const char* p) {
  uint16_t h;
  std::memcpy(&h, p, 2);
  return h;
}

void do_load(void* const* operands, bool transposed) {
  const auto row = [&](int lane) { return static_cast<MatrixOperand*>(operands[lane])->row; };
  for (int lane = 0; lane < kWarp; ++lane)
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint32_t& r = static_cast<MatrixOperand*>(operands[lane])->registers[matrix];
      const int major = lane / 4, minor = lane % 4 * 2;
      if (!transposed) {
        std::memcpy(&r, row(matrix * 8 + major) + minor * 2, 4);
      } else {
        r = half_word(row(matrix * 8 + minor) + major * 2) | half_word(row(matrix * 8 + minor + 1) + major * 2) << 16;
      }
    }
}

void do_load_plain(void* const* operands) { do_load(operands, false); }
void do_load_transposed(void* const* operands) { do_load(operands, true); }

struct ProductOperand {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

// Tensor cores round sums towards zero. Products of TF32 and BF16 are exact in double, and so, nearly, are their sums.
float truncated(double x) {
  const float f = static_cast<float>(x);
  return std::fabs(static_cast<double>(f)) > std::fabs(x) ? std::nextafterf(f, 0.0f) : f;
}

// D += A B for 16 x K and K x 8 that were gathered from the lanes.
template <int K>
void multiply(void* const* operands, const float (&a)[16][K], const float (&b)[8][K]) {
  ++counter.mma;
  for (int lane = 0; lane < kWarp; ++lane) {
    float* const d = static_cast<ProductOperand*>(operands[lane])->d;
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = 0;
      for (int k = 0; k < K; ++k) sum += static_cast<double>(a[row][k]) * static_cast<double>(b[column][k]);
      d[i] = truncated(d[i] + sum);
    }
  }
}

void do_tf32(void* const* operands) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const ProductOperand& o = *static_cast<ProductOperand*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = float_of(o.a[i] & 0xffffe000u);
    for (int i = 0; i < 2; ++i) b[g][t + i * 4] = float_of(o.b[i] & 0xffffe000u);
  }
  multiply(operands, a, b);
}

void do_bf16(void* const* operands) {
  float a[16][16], b[8][16];
  for (int lane = 0; lane < kWarp; ++lane) {
    const ProductOperand& o = *static_cast<ProductOperand*>(operands[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int high = 0; high < 2; ++high) {
      const auto half = [high](uint32_t pair) { return float_of(high ? pair & 0xffff0000u : pair << 16); };
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t * 2 + i / 2 * 8 + high] = half(o.a[i]);
      for (int i = 0; i < 2; ++i) b[g][t * 2 + i * 8 + high] = half(o.b[i]);
    }
  }
  multiply(operands, a, b);
}

void finish(const PendingCopy& copy) {
  std::memset(copy.to, 0, static_cast<size_t>(copy.bytes));
  std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.valid));
  checker_access(copy.to, static_cast<size_t>(copy.bytes), AsyncDone, copy.site);
}

} // namespace

uint64_t shuffle(unsigned mask, uint64_t bits, Shuffle kind, int operand, int width) {
  full_mask(mask, "a shuffle", SIMT_SITE);
  ShuffleOperand o{bits, kind, operand, width, 0};
  warp_collective(do_shuffle, &o, "a shuffle", SIMT_SITE);
  return o.result;
}

unsigned vote(unsigned mask, Vote kind, int predicate) {
  full_mask(mask, "a vote", SIMT_SITE);
  VoteOperand o{kind, predicate, 0};
  warp_collective(do_vote, &o, "a vote", SIMT_SITE);
  return o.result;
}

void load_matrices(uint32_t* to, const void* row, bool transposed) {
  const void* const site = SIMT_SITE;
  if (reinterpret_cast<uintptr_t>(row) % 16)
    report(Kind::Misaligned, "ldmatrix row that is not a multiple of 16 bytes at " + source_line(site));
  if (!in_shared(row, 16)) report(Kind::Bounds, "ldmatrix row outside of shared memory at " + source_line(site));
  checker_access(row, 16, Read, site);
  MatrixOperand o{to, static_cast<const char*>(row)};
  warp_collective(transposed ? do_load_transposed : do_load_plain, &o, "ldmatrix", site);
}

void multiply_tf32(float* d, const uint32_t* a, const uint32_t* b) {
  ProductOperand o{d, a, b};
  warp_collective(do_tf32, &o, "mma", SIMT_SITE);
}

void multiply_bf16(float* d, const uint32_t* a, const uint32_t* b) {
  ProductOperand o{d, a, b};
  warp_collective(do_bf16, &o, "mma", SIMT_SITE);
}

void copy_async(void* shared, const void* global, int bytes, int valid) {
  const void* const site = SIMT_SITE;
  Fiber& me = *current;
  const auto unaligned = [bytes](const void* p) {
    return reinterpret_cast<uintptr_t>(p) % static_cast<unsigned>(bytes);
  };
  if (unaligned(shared) || unaligned(global))
    report(Kind::Misaligned, "cp.async with an address that is not a multiple of " + std::to_string(bytes) +
                                 " bytes at " + source_line(site));
  if (valid < 0 || valid > bytes) report(Kind::Usage, "cp.async of more bytes than its size at " + source_line(site));
  if (!in_shared(shared, static_cast<size_t>(bytes)))
    report(Kind::Bounds, "cp.async to outside of shared memory at " + source_line(site));
  if (me.copies == kMaxPendingCopies) report(Kind::Usage, "too many cp.async without a wait at " + source_line(site));
  if (valid > 0) {
    const Allocation* const from = find_allocation(global);
    if (!from || static_cast<const char*>(global) + valid > from->base + from->bytes)
      report(Kind::Bounds, "cp.async reads outside of device memory at " + source_line(site));
    checker_access(global, static_cast<size_t>(valid), Read, site);
  }
  checker_access(shared, static_cast<size_t>(bytes), AsyncIssue, site);
  std::memset(shared, 0xff, static_cast<size_t>(bytes)); // NaN until the wait
  me.copy[me.copies++] = {static_cast<char*>(shared), static_cast<const char*>(global), site, bytes, valid, me.groups};
}

void prefetch(const void* address) {
  ++counter.prefetches;
  if (!find_allocation(address)) report(Kind::Bounds, "prefetch outside of device memory at " + source_line(SIMT_SITE));
}

void copy_async_commit() { ++current->groups; }

// The copies are done here and not before: a reader that did not wait sees NaN.
void copy_async_wait(int pending) {
  Fiber& me = *current;
  int kept = 0;
  for (int i = 0; i < me.copies; ++i) {
    if (me.copy[i].group + static_cast<unsigned>(pending) < me.groups) {
      finish(me.copy[i]);
    } else {
      me.copy[kept++] = me.copy[i];
    }
  }
  me.copies = kept;
}

void atomic_load(void* to, const void* address, int bytes) {
  const void* const site = SIMT_SITE;
  if (reinterpret_cast<uintptr_t>(address) % static_cast<unsigned>(bytes))
    report(Kind::Misaligned, "atomic operation on a misaligned address at " + source_line(site));
  checker_access(address, static_cast<size_t>(bytes), AtomicAccess, site);
  std::memcpy(to, address, static_cast<size_t>(bytes));
}

void atomic_store(void* address, const void* from, int bytes) {
  std::memcpy(address, from, static_cast<size_t>(bytes));
}

} // namespace simt

// Out of line, so that its return address is its caller.
void __syncwarp(unsigned mask) {
  simt::full_mask(mask, "__syncwarp", SIMT_SITE);
  simt::warp_collective(simt::do_syncwarp, nullptr, "__syncwarp", SIMT_SITE);
}
