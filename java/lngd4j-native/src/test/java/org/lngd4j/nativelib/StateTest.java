// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.fails;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.Random;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** lngd_state_size, lngd_state_save, lngd_state_restore. */
@Tag(TestDevice.TAG)
class StateTest {
    @Test
    void continuingGivesTheBitsOfNotHavingStopped() {
        Abi.Net straight = net();
        Abi.Net stopped = net();
        for (int i = 0; i < 7; i++) {
            straight.step(i);
            stopped.step(i);
        }
        Abi.Net resumed = net();
        restore(resumed.optimizer, save(stopped.optimizer));
        Pointer.memcpy(resumed.weights, stopped.weights, 4L * Abi.OUTPUTS * Abi.INPUTS);
        Pointer.memcpy(resumed.bias, stopped.bias, 4L * Abi.OUTPUTS);
        for (int i = 7; i < 15; i++) {
            straight.step(i);
            resumed.step(i);
        }
        assertThat(resumed.weights()).isEqualTo(straight.weights());
        assertThat(save(resumed.optimizer)).isEqualTo(save(straight.optimizer));
    }

    @Test
    void everyTruncationIsRefused() {
        Abi.Net net = stepped();
        byte[] state = save(net.optimizer);
        for (int length = 0; length < state.length; length++) {
            int status = lngd.lngd_state_restore(net.optimizer, bytes(state), length);
            assertThat(status).isIn(lngd.LNGD_BAD_STATE_DATA, lngd.LNGD_INVALID_ARGUMENT);
        }
        assertThat(save(net.optimizer)).isEqualTo(state);
    }

    @Test
    void everyFlippedBitIsRefused() {
        Abi.Net net = stepped();
        byte[] state = save(net.optimizer);
        BytePointer spoiled = bytes(state);
        Random random = new Random(1);
        for (int i = 0; i < state.length; i++) {
            byte bit = (byte) (1 << random.nextInt(8));
            spoiled.put(i, (byte) (state[i] ^ bit));
            fails(
                    lngd.LNGD_BAD_STATE_DATA,
                    lngd.lngd_state_restore(net.optimizer, spoiled, state.length));
            spoiled.put(i, state[i]);
        }
        assertThat(save(net.optimizer)).isEqualTo(state);
        ok(lngd.lngd_state_restore(net.optimizer, spoiled, state.length));
    }

    @Test
    void noiseAndTrailingBytesAreRefused() {
        Abi.Net net = stepped();
        byte[] state = save(net.optimizer);
        byte[] longer = java.util.Arrays.copyOf(state, state.length + 16);
        fails(
                lngd.LNGD_BAD_STATE_DATA,
                lngd.lngd_state_restore(net.optimizer, bytes(longer), longer.length));
        Random random = new Random(2);
        for (int i = 0; i < 200; i++) {
            byte[] noise = new byte[1 + random.nextInt(2 * state.length)];
            random.nextBytes(noise);
            fails(
                    lngd.LNGD_BAD_STATE_DATA,
                    lngd.lngd_state_restore(net.optimizer, bytes(noise), noise.length));
        }
        assertThat(save(net.optimizer)).isEqualTo(state);
    }

    @Test
    void anotherConfigurationIsRefused() {
        byte[] state = save(stepped().optimizer);
        lngd_optimizer blocks = Abi.optimizer(Abi.config(0).block_size(2), Abi.layer());
        fails(
                lngd.LNGD_BAD_STATE_DATA,
                lngd.lngd_state_restore(blocks, bytes(state), state.length));
        lngd_optimizer shape = Abi.optimizer(Abi.config(0), Abi.layer().inputs(6));
        fails(lngd.LNGD_BAD_STATE_DATA, lngd.lngd_state_restore(shape, bytes(state), state.length));
        lngd_optimizer model =
                Abi.optimizer(Abi.config(0), Abi.layer().activation(lngd.LNGD_ACTIVATION_TANH));
        fails(lngd.LNGD_BAD_STATE_DATA, lngd.lngd_state_restore(model, bytes(state), state.length));
    }

    @Test
    void aHalfDoneUpdateIsNoState() {
        Abi.Net net = stepped();
        ok(Abi.observe(net.optimizer, Abi.inputs(), Abi.signal()));
        BytePointer buffer = new BytePointer(1 << 16);
        fails(
                lngd.LNGD_INVALID_STATE,
                lngd.lngd_state_save(net.optimizer, buffer, 1 << 16, new long[1]));
        ok(lngd.lngd_step(net.plan, 1, null));
        ok(lngd.lngd_swap_averages(net.plan, new int[1]));
        fails(
                lngd.LNGD_INVALID_STATE,
                lngd.lngd_state_save(net.optimizer, buffer, 1 << 16, new long[1]));
    }

    @Test
    void badArgumentsAreRefused() {
        Abi.Net net = stepped();
        long size = size(net.optimizer);
        BytePointer buffer = new BytePointer(size);
        invalid(lngd.lngd_state_save(net.optimizer, buffer, size - 1, new long[1]), "capacity");
        invalid(lngd.lngd_state_save(net.optimizer, buffer, -1, new long[1]), "capacity");
        invalid(lngd.lngd_state_save(net.optimizer, null, size, new long[1]), "buffer");
        invalid(lngd.lngd_state_size(net.optimizer, (LongPointer) null), "bytes");
        invalid(lngd.lngd_state_restore(net.optimizer, null, size), "buffer");
        int status = lngd.lngd_state_restore(net.optimizer, buffer, -1);
        assertThat(status).isIn(lngd.LNGD_BAD_STATE_DATA, lngd.LNGD_INVALID_ARGUMENT);
    }

    @Test
    void settingsAndCountersAreState() {
        Abi.Net net = stepped();
        ok(lngd.lngd_set(net.optimizer, lngd.LNGD_SET_MOMENTUM, 0.625));
        Abi.Net other = net();
        restore(other.optimizer, save(net.optimizer));
        double[] momentum = new double[1];
        ok(lngd.lngd_get(other.optimizer, lngd.LNGD_SET_MOMENTUM, momentum));
        assertThat(momentum[0]).isEqualTo(0.625);
    }

    private static Abi.Net net() {
        return new Abi.Net(
                        Abi.config(lngd.LNGD_PRESET_RECIPE)
                                .statistics_interval(2)
                                .inverse_interval(3))
                .planned();
    }

    private static Abi.Net stepped() {
        Abi.Net net = new Abi.Net().planned();
        net.step(1);
        net.step(2);
        return net;
    }

    private static long size(lngd_optimizer optimizer) {
        long[] size = new long[1];
        ok(lngd.lngd_state_size(optimizer, size));
        return size[0];
    }

    private static byte[] save(lngd_optimizer optimizer) {
        long size = size(optimizer);
        BytePointer buffer = new BytePointer(size);
        long[] written = new long[1];
        ok(lngd.lngd_state_save(optimizer, buffer, size, written));
        assertThat(written[0]).isEqualTo(size);
        byte[] state = new byte[(int) size];
        buffer.get(state);
        return state;
    }

    private static void restore(lngd_optimizer optimizer, byte[] state) {
        ok(lngd.lngd_state_restore(optimizer, bytes(state), state.length));
    }

    private static BytePointer bytes(byte[] state) {
        BytePointer p = new BytePointer(Math.max(1, state.length));
        p.put(state, 0, state.length);
        return p;
    }

    @Test
    void theStateDoesNotHoldTheCallersWeights() {
        Abi.Net net = stepped();
        byte[] before = save(net.optimizer);
        FloatPointer weights = net.weights;
        weights.put(0, weights.get(0) + 1);
        assertThat(save(net.optimizer)).isEqualTo(before);
    }
}
