// SPDX-License-Identifier: Apache-2.0
#ifndef LNGD_BACKEND_CUDA_HOOKS_H
#define LNGD_BACKEND_CUDA_HOOKS_H

#include "backend/device_library.h"

namespace lngd::cuda {

DeviceHooks make_hooks();
#if defined(SIMT_EMU)
void add_emulator_hooks(DeviceHooks& hooks); // native/test/simt/emulated_hooks.cpp
#endif

} // namespace lngd::cuda
#endif
