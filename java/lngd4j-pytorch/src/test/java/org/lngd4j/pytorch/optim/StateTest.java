// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.nativelib.LngdStateDataException;

/**
 * A training that was saved and restored goes on with the same bits; a foreign state is refused.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
class StateTest {
    private static final int STEPS = 14;

    // Stopped before and after a new basis (every third step), and after the first step.
    @ParameterizedTest
    @ValueSource(ints = {1, 6, 7})
    void goesOnWithTheSameBits(int stop) {
        for (boolean soap : new boolean[] {false, true}) {
            ConvNet whole = new ConvNet(1);
            ConvNet part = new ConvNet(1);
            ConvNet resumed = new ConvNet(2);
            byte[] state;
            try (TorchOptimizer optimizer = make(whole, soap)) {
                ConvNet.train(whole, optimizer, 0, STEPS);
            }
            try (TorchOptimizer optimizer = make(part, soap)) {
                ConvNet.train(part, optimizer, 0, stop);
                state = optimizer.saveState();
            }
            copy(part, resumed);
            try (TorchOptimizer optimizer = make(resumed, soap)) {
                optimizer.restoreState(state);
                assertThat(optimizer.learningRate()).isEqualTo(0.01 / stop);
                assertThat(optimizer.saveState()).isEqualTo(state);
                ConvNet.train(resumed, optimizer, stop, STEPS);
            }
            Map<String, double[][]> expected = whole.weights();
            resumed.weights()
                    .forEach((name, w) -> assertThat(w).as(name).isDeepEqualTo(expected.get(name)));
        }
    }

    private static TorchOptimizer make(ConvNet net, boolean soap) {
        return soap
                ? new Soap(net, SoapOptions.builder().preconditionFrequency(3).build())
                : new Muon(net, MuonOptions.builder().build());
    }

    private static void copy(Module from, Module to) {
        try (NoGradGuard guard = new NoGradGuard()) {
            TensorVector a = from.parameters();
            TensorVector b = to.parameters();
            for (long i = 0; i < a.size(); i++) {
                b.get(i).copy_(a.get(i));
            }
        }
    }

    @Test
    void aForeignOrDamagedStateIsRefused() {
        ConvNet net = new ConvNet(1);
        Module other = new Module("other");
        other.register_module("a", new LinearImpl(3, 4));
        other.register_module("b", new LinearImpl(4, 2));
        Module wider = new Module("wider");
        wider.register_module("a", new LinearImpl(3, 5));
        wider.register_module("b", new LinearImpl(5, 2));
        try (TorchOptimizer muon = make(net, false);
                TorchOptimizer soap = make(net, true);
                Muon small = new Muon(other, MuonOptions.builder().build());
                Muon wide = new Muon(wider, MuonOptions.builder().build())) {
            ConvNet.train(net, muon, 0, 2);
            byte[] state = muon.saveState();
            refused(muon, new byte[3], "3 bytes");
            refused(muon, java.util.Arrays.copyOf(state, state.length - 4), "damaged");
            byte[] damaged = state.clone();
            damaged[damaged.length / 2] ^= 1;
            refused(muon, damaged, "damaged");
            refused(muon, soap.saveState(), "optimizer is Soap; allowed is Muon");
            refused(muon, small.saveState(), "number of parameters is 4; allowed is 10");
            refused(small, wide.saveState(), "a tensor of a.weight is 15; allowed is 12");
            assertThat(muon.saveState()).isEqualTo(state);
        }
    }

    private static void refused(TorchOptimizer optimizer, byte[] state, String message) {
        assertThatThrownBy(() -> optimizer.restoreState(state))
                .isInstanceOf(LngdStateDataException.class)
                .hasMessageContaining(message);
    }
}
