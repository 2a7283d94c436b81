// SPDX-License-Identifier: Apache-2.0
#include "abi/handles.h"

#include <atomic>
#include <mutex>

#include "optimizer/error.h"

namespace lngd::abi {
namespace {

enum Kind : uint32_t { kFree = 0, kOptimizer = 1, kPlan = 2 };

constexpr uint32_t kSlots = 1u << 14;
constexpr int kSlotShift = 4, kGenerationShift = 24; // handle = generation | slot | kind

struct Slot {
  std::atomic<uint32_t> generation{1};
  std::atomic<uint32_t> kind{kFree};
  std::atomic<void*> object{nullptr};
  std::atomic<uint32_t> owner{0}; // plan: slot of its optimizer
  std::atomic<bool> busy{false};  // optimizer: a call is in progress
};

Slot slots[kSlots];
std::mutex table;       // publish and retire
uint32_t next_slot = 0; // where the search for a free slot begins

uint64_t encode(uint32_t slot, uint32_t generation, Kind kind) {
  return (static_cast<uint64_t>(generation) << kGenerationShift) | (static_cast<uint64_t>(slot) << kSlotShift) | kind;
}

struct Decoded {
  uint32_t slot, generation, kind;
  bool plausible;
};

Decoded decode(const void* handle) {
  const uint64_t value = reinterpret_cast<uint64_t>(handle);
  const uint64_t slot = (value >> kSlotShift) & ((1u << (kGenerationShift - kSlotShift)) - 1);
  const uint64_t generation = value >> kGenerationShift;
  return {static_cast<uint32_t>(slot), static_cast<uint32_t>(generation), static_cast<uint32_t>(value & 15u),
          slot < kSlots && generation <= 0xffffffffu};
}

bool alive(const Decoded& d, Kind kind) {
  return d.plausible && d.kind == kind && slots[d.slot].generation.load() == d.generation &&
         slots[d.slot].kind.load() == kind;
}

// Finds the slot of a handle or throws.
uint32_t find(const void* handle, Kind kind, const char* name) {
  const Decoded d = decode(handle);
  if (!alive(d, kind))
    fail(LNGD_INVALID_HANDLE, name, " is ", handle,
         handle ? ", which is not a live handle of this kind (destroyed, or never given out)" : " (NULL)",
         ", allowed is a handle from lngd_create or lngd_plan_create that was not destroyed");
  return d.slot;
}

uint64_t publish_slot(void* object, Kind kind, uint32_t owner) {
  const std::lock_guard<std::mutex> hold(table);
  for (uint32_t tried = 0; tried < kSlots; ++tried) {
    const uint32_t index = (next_slot + tried) % kSlots;
    Slot& slot = slots[index];
    if (slot.kind.load() != kFree) continue;
    next_slot = index + 1;
    slot.object.store(object);
    slot.owner.store(owner);
    slot.kind.store(kind);
    return encode(index, slot.generation.load(), kind);
  }
  fail(LNGD_OUT_OF_MEMORY, "there are ", kSlots, " live handles already, allowed are no more");
}

void free_slot(Slot& slot) {
  slot.generation.store(slot.generation.load() + 1);
  slot.kind.store(kFree);
  slot.object.store(nullptr);
}

} // namespace

lngd_optimizer* publish(Optimizer* optimizer) {
  return reinterpret_cast<lngd_optimizer*>(publish_slot(optimizer, kOptimizer, 0));
}

lngd_plan* publish(StepPlan* plan, const lngd_optimizer* optimizer) {
  return reinterpret_cast<lngd_plan*>(publish_slot(plan, kPlan, decode(optimizer).slot));
}

void retire(const lngd_optimizer* optimizer) {
  const uint32_t index = decode(optimizer).slot;
  const std::lock_guard<std::mutex> hold(table);
  for (Slot& slot : slots)
    if (slot.kind.load() == kPlan && slot.owner.load() == index) free_slot(slot);
  free_slot(slots[index]);
}

void retire(const lngd_plan* plan) {
  const std::lock_guard<std::mutex> hold(table);
  free_slot(slots[decode(plan).slot]);
}

void Locked::lock(uint32_t slot) {
  if (slots[slot].busy.exchange(true))
    fail(LNGD_BUSY, "another thread is inside a call on this optimizer; use it from one thread at a time");
  slot_ = slot;
}

// Called by constructors: what they throw does not run the destructor.
void Locked::require_alive(Purpose purpose) const {
  if (purpose == kToDestroy) return;
  try {
    optimizer_->require_alive();
  } catch (...) {
    slots[slot_].busy.store(false);
    throw;
  }
}

Locked::Locked(const lngd_optimizer* handle, Purpose purpose) {
  lock(find(handle, kOptimizer, "optimizer"));
  // Between the look-up and the lock it may have been destroyed.
  if (!alive(decode(handle), kOptimizer)) {
    slots[slot_].busy.store(false);
    find(handle, kOptimizer, "optimizer");
  }
  optimizer_ = static_cast<Optimizer*>(slots[slot_].object.load());
  require_alive(purpose);
}

Locked::Locked(const lngd_plan* handle, Purpose purpose) {
  const uint32_t plan_slot = find(handle, kPlan, "plan");
  lock(slots[plan_slot].owner.load());
  if (!alive(decode(handle), kPlan)) {
    slots[slot_].busy.store(false);
    find(handle, kPlan, "plan");
  }
  plan_ = static_cast<StepPlan*>(slots[plan_slot].object.load());
  optimizer_ = &plan_->optimizer();
  require_alive(purpose);
}

Locked::~Locked() { slots[slot_].busy.store(false); }

} // namespace lngd::abi
