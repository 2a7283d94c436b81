// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Nothing piles up: neither native memory nor what the garbage collector would have to free. */
@SuppressWarnings("try") // scopes that are only opened and closed
class OptimizerMemoryTest {
    private static final int STEPS = 300;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void isFlatOverManySteps(boolean soap) {
        ConvNet net = new ConvNet(1);
        try (TorchOptimizer optimizer = make(net, soap)) {
            ConvNet.train(net, optimizer, 0, STEPS / 10);
            long tracked = Pointer.totalBytes();
            long count = Pointer.totalCount();
            ConvNet.train(net, optimizer, STEPS / 10, STEPS);
            // Tensors that nobody released would be some hundred a step.
            assertThat(Pointer.totalCount() - count).isLessThan(100);
            assertThat(Pointer.totalBytes() - tracked).isLessThan(1 << 16);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void closeFreesTheState(boolean soap) {
        ConvNet net = new ConvNet(1);
        train(net, soap, 2); // what is loaded once
        long before = Pointer.totalCount();
        for (int i = 0; i < 50; i++) {
            train(net, soap, 2);
        }
        // Ten parameters, each with a tensor of state or more, fifty times.
        assertThat(Pointer.totalCount() - before).isLessThan(100);
    }

    private static void train(ConvNet net, boolean soap, int steps) {
        try (TorchOptimizer optimizer = make(net, soap)) {
            ConvNet.train(net, optimizer, 0, steps);
        }
    }

    /** The state outlives the scope that it was made in. */
    private static TorchOptimizer make(ConvNet net, boolean soap) {
        try (PointerScope scope = new PointerScope()) {
            return soap
                    ? new Soap(net, SoapOptions.builder().preconditionFrequency(3).build())
                    : new Muon(net, MuonOptions.builder().build());
        }
    }
}
