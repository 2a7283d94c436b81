// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdStateDataException;

/** States through streams, for those that no Java array holds. */
class StateStreamTest {
    private static LngdOptimizer made() {
        return LngdOptimizer.create(
                LngdOptions.recipe(10).device(Device.CPU).build(),
                // 700 x 500: several of the chunks of 1 MiB that it goes through.
                List.of(LayerSpec.dense("only", 700, 500).output(OutputModel.SOFTMAX)));
    }

    @Test
    void aStreamHasTheBytesOfTheArray() throws IOException {
        try (LngdOptimizer optimizer = made();
                LngdOptimizer other = made()) {
            float[] momentum = new float[500 * 701];
            for (int i = 0; i < momentum.length; i++) {
                momentum[i] = i;
            }
            optimizer.write(0, Field.MOMENTUM, momentum);
            byte[] array = optimizer.saveState();
            assertThat(array.length).isGreaterThan(2 << 20);
            assertThat(optimizer.stateSize()).isEqualTo(array.length);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            optimizer.saveState(out);
            assertThat(Arrays.equals(out.toByteArray(), array)).isTrue();
            other.restoreState(new Slow(array), 0);
            assertThat(Arrays.equals(other.read(0, Field.MOMENTUM), momentum)).isTrue();
        }
    }

    @Test
    void anotherLengthIsRefusedAndNothingChanges() throws IOException {
        try (LngdOptimizer optimizer = made()) {
            byte[] state = optimizer.saveState();
            for (int length : new int[] {0, 5, state.length - 1, state.length + 1}) {
                InputStream in = new ByteArrayInputStream(Arrays.copyOf(state, length));
                assertThatThrownBy(() -> optimizer.restoreState(in, 0))
                        .as("length %d of %d", length, state.length)
                        .isInstanceOf(LngdStateDataException.class);
            }
            assertThat(Arrays.equals(optimizer.saveState(), state)).isTrue();
        }
    }

    /** Gives fewer bytes than it is asked for, as a network or a zip file does. */
    private static final class Slow extends ByteArrayInputStream {
        Slow(byte[] bytes) {
            super(bytes);
        }

        @Override
        public synchronized int read(byte[] to, int offset, int length) {
            return super.read(to, offset, Math.min(length, 1000));
        }
    }
}
