// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;

/** Nothing piles up: neither native memory nor what the garbage collector would have to free. */
@Tag("slow")
class MemoryTest {
    private static final int STEPS = 10_000;

    @Test
    void isFlatOverTenThousandSteps() {
        Nets.Mlp net = new Nets.Mlp(1);
        LngdOptions options =
                LngdOptions.blockKronecker(STEPS).statisticsInterval(1).inverseInterval(5).build();
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Nets.train(net, lngd, 0, STEPS / 10);
            System.gc();
            long tracked = Pointer.totalBytes();
            long count = Pointer.totalCount();
            long resident = Pointer.physicalBytes();
            Nets.train(net, lngd, STEPS / 10, STEPS);
            // Tensors that nobody released would be some fifty a step.
            assertThat(Pointer.totalCount() - count).isLessThan(100);
            assertThat(Pointer.totalBytes() - tracked).isLessThan(1 << 16);
            // The heap of the JVM grows and shrinks by more than this; a leak of the inputs alone
            // (288 bytes a layer and pass) would be 5 MB, one of whole graphs some hundred.
            assertThat(Pointer.physicalBytes() - resident).isLessThan(100L << 20);
        }
    }

    /** Evaluations in training mode and with gradients, thousands of them before a step. */
    @Test
    @SuppressWarnings("try") // scopes that are only opened and closed
    void passesThatNobodyStepsDoNotPileUp() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, LngdOptions.blockKronecker(STEPS).build())) {
            long count = 0;
            for (int pass = 0; pass < 1000; pass++) {
                try (PointerScope scope = new PointerScope()) {
                    net.forward(Nets.inputs(pass, Nets.BATCH, Nets.INPUTS));
                }
                if (pass == 100) {
                    count = Pointer.totalCount();
                }
            }
            assertThat(Pointer.totalCount() - count).isLessThan(20);
            Nets.train(net, lngd, 0, 1);
            assertThat(lngd.health().get("first").statisticsUpdates()).isEqualTo(1);
        }
    }
}
