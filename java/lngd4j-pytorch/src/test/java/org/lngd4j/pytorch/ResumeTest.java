// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.nativelib.LngdStateDataException;

/** A training that was saved and restored goes on with the same bits. */
@SuppressWarnings("try") // scopes that are only opened and closed
class ResumeTest {
    private static final int STEPS = 9;

    @ParameterizedTest
    @EnumSource(names = {"RECIPE", "BLOCK_KRONECKER"})
    void goesOnWithTheSameBits(Preset preset) {
        LngdOptions options = LngdOptions.preset(preset, STEPS).build();
        Nets.Mlp whole = new Nets.Mlp(1);
        Nets.Mlp part = new Nets.Mlp(1);
        Nets.Mlp resumed = new Nets.Mlp(2);
        byte[] state;
        try (LngdTorch lngd = LngdTorch.attach(whole, options)) {
            Nets.train(whole, lngd, 0, STEPS);
        }
        try (LngdTorch lngd = LngdTorch.attach(part, options).leaveAverages(false)) {
            Nets.train(part, lngd, 0, 4);
            state = lngd.saveState();
        }
        try (LngdTorch lngd = LngdTorch.attach(resumed, options)) {
            copy(part, resumed);
            lngd.restoreState(state);
            assertThat(lngd.steps()).isEqualTo(4);
            Nets.train(resumed, lngd, 4, STEPS);
        }
        assertThat(Nets.weights(resumed)).containsExactly(Nets.weights(whole));
    }

    @Test
    void aStreamHasTheBytesOfTheArray() throws IOException {
        LngdOptions options = LngdOptions.recipe(STEPS).build();
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Nets.train(net, lngd, 0, 4);
            byte[] array = lngd.saveState();
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            lngd.saveState(out);
            assertThat(out.toByteArray()).isEqualTo(array);
            Nets.train(net, lngd, 4, 6);
            lngd.restoreState(new ByteArrayInputStream(array));
            assertThat(lngd.steps()).isEqualTo(4);
            assertThat(lngd.saveState()).isEqualTo(array);
            for (int length : new int[] {0, 7, 20, 40, array.length - 1, array.length + 1}) {
                byte[] other = Arrays.copyOf(array, length);
                assertThatThrownBy(() -> lngd.restoreState(other))
                        .as("length %d", length)
                        .isInstanceOf(LngdStateDataException.class);
            }
            assertThat(lngd.saveState()).isEqualTo(array);
        }
    }

    private static void copy(Nets.Mlp from, Nets.Mlp to) {
        try (NoGradGuard guard = new NoGradGuard()) {
            TensorVector a = from.parameters();
            TensorVector b = to.parameters();
            for (long i = 0; i < a.size(); i++) {
                b.get(i).copy_(a.get(i));
            }
        }
    }
}
