// SPDX-License-Identifier: Apache-2.0
/**
 * Optimizers that PyTorch's C++ frontend lacks, on its tensors: {@link
 * org.lngd4j.pytorch.optim.Muon} and {@link org.lngd4j.pytorch.optim.Soap}, each with AdamW for
 * what is no matrix. They have nothing to do with LNGD: they are what it is compared with, and
 * train any module.
 *
 * <pre>{@code
 * try (Muon muon = new Muon(model, MuonOptions.builder().build())) {
 *     System.out.println(muon.report());
 *     for (Batch b : batches) {
 *         try (PointerScope scope = new PointerScope()) {
 *             torch.cross_entropy_loss(model.forward(b.images()), b.labels()).backward();
 *             muon.step();
 *             muon.zeroGrad();
 *         }
 *     }
 * }
 * }</pre>
 *
 * <p>Algorithms, settings and defaults are those of this project's updaters for Deeplearning4j
 * ({@code org.lngd4j.dl4j.updater}). State is float32 on the parameters' device; nothing of it is
 * left to the garbage collector.
 */
package org.lngd4j.pytorch.optim;
