// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.SAMPLES;
import static org.lngd4j.nativelib.Abi.fails;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;
import static org.lngd4j.nativelib.Abi.random;
import static org.lngd4j.nativelib.Abi.values;
import static org.lngd4j.nativelib.Abi.write;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_tensor;

/** Memory, tensors and streams of the device; on the CPU that is the host. */
@Tag(TestDevice.TAG)
class DeviceTest {
    /** DLPack's type of the memory that lngd_device_allocate gives. */
    private static final int MEMORY = TestDevice.isCpu() ? 1 : 2;

    @Test
    void memoryKeepsWhatIsCopiedThere() {
        lngd_optimizer o = Abi.optimizer();
        FloatPointer values = random(1, 1000);
        Pointer memory = allocate(o, 4000);
        FloatPointer back = new FloatPointer(1000);
        ok(lngd.lngd_device_copy(o, back, memory, 4000));
        assertThat(values(back, 1000)).containsOnly(0f);
        ok(lngd.lngd_device_copy(o, memory, values, 4000));
        Pointer other = allocate(o, 4000);
        ok(lngd.lngd_device_copy(o, other, memory, 4000));
        ok(lngd.lngd_device_copy(o, back, other, 4000));
        assertThat(values(back, 1000)).isEqualTo(values(values, 1000));
        ok(lngd.lngd_device_free(o, memory));
        ok(lngd.lngd_device_free(o, other));
        ok(lngd.lngd_destroy(o));
    }

    @Test
    void badArgumentsAreRefused() {
        lngd_optimizer o = Abi.optimizer();
        PointerPointer<Pointer> out = new PointerPointer<>(1);
        invalid(lngd.lngd_device_allocate(o, 0, out), "bytes", "0");
        invalid(lngd.lngd_device_allocate(o, -5, out), "bytes", "-5");
        invalid(lngd.lngd_device_allocate(o, 5, (PointerPointer<?>) null), "out");
        fails(lngd.LNGD_OUT_OF_MEMORY, lngd.lngd_device_allocate(o, 1L << 46, out));
        invalid(lngd.lngd_device_copy(o, null, random(1, 4), 16), "to");
        invalid(lngd.lngd_device_copy(o, random(1, 4), null, 16), "from");
        invalid(lngd.lngd_device_copy(o, random(1, 4), random(2, 4), -1), "bytes", "-1");
        ok(lngd.lngd_destroy(o));
    }

    @Test
    void deviceTensorsGiveTheBitsOfHostTensors() {
        Abi.Net host = new Abi.Net().planned();
        Abi.Net device = new Abi.Net();
        Pointer weights = moveIn(device.optimizer, device.weights, OUTPUTS * INPUTS);
        at(device.binding.weights(), weights, OUTPUTS, INPUTS);
        at(device.binding.bias(), moveIn(device.optimizer, device.bias, OUTPUTS), OUTPUTS);
        at(
                device.binding.weight_gradients(),
                moveIn(device.optimizer, device.weightGradients, OUTPUTS * INPUTS),
                OUTPUTS,
                INPUTS);
        at(
                device.binding.bias_gradients(),
                moveIn(device.optimizer, device.biasGradients, OUTPUTS),
                OUTPUTS);
        ok(device.create());
        for (int step = 0; step < 3; step++) {
            host.step(step);
            lngd_tensor inputs = new lngd_tensor();
            lngd_tensor signal = new lngd_tensor();
            FloatPointer a = random(step, SAMPLES * INPUTS);
            FloatPointer s = random(step + 1000, SAMPLES * OUTPUTS);
            at(inputs, moveIn(device.optimizer, a, SAMPLES * INPUTS), SAMPLES, INPUTS);
            at(signal, moveIn(device.optimizer, s, SAMPLES * OUTPUTS), SAMPLES, OUTPUTS);
            ok(Abi.observe(device.optimizer, inputs, signal));
            ok(lngd.lngd_refresh(device.plan));
            ok(lngd.lngd_step(device.plan, 1, null));
        }
        FloatPointer moved = new FloatPointer(OUTPUTS * INPUTS);
        ok(lngd.lngd_device_copy(device.optimizer, moved, weights, 4L * OUTPUTS * INPUTS));
        assertThat(values(moved, OUTPUTS * INPUTS)).isEqualTo(host.weights());
        ok(lngd.lngd_destroy(host.optimizer));
        ok(lngd.lngd_destroy(device.optimizer));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4, 7, 14, -1, 99})
    void otherKindsOfMemoryAreRefused(int type) {
        lngd_optimizer o = Abi.optimizer();
        invalid(Abi.observe(o, Abi.inputs().device_type(type), Abi.signal()), "inputs", "" + type);
        ok(Abi.observe(o, Abi.inputs().device_type(3), Abi.signal()));
        ok(lngd.lngd_destroy(o));
    }

    @Test
    void memoryOfAnotherDeviceIsRefused() {
        lngd_optimizer o = Abi.optimizer();
        lngd_tensor inputs = Abi.inputs().device_type(2);
        invalid(Abi.observe(o, inputs.device_id(7), Abi.signal()), "inputs");
        ok(lngd.lngd_destroy(o));
    }

    @Test
    void refreshChangesNoBit() {
        Abi.Net plain = new Abi.Net().planned();
        Abi.Net refreshed = new Abi.Net().planned();
        for (int step = 0; step < 3; step++) {
            plain.step(step);
            ok(
                    Abi.observe(
                            refreshed.optimizer,
                            Abi.tensor(random(step, SAMPLES * INPUTS), SAMPLES, INPUTS),
                            Abi.tensor(random(step + 1000, SAMPLES * OUTPUTS), SAMPLES, OUTPUTS)));
            ok(lngd.lngd_refresh(refreshed.plan));
            // The update is taken: what is observed now comes too late to count.
            ok(Abi.observe(refreshed.optimizer, Abi.inputs(), Abi.signal()));
            fails(
                    lngd.LNGD_INVALID_STATE,
                    lngd.lngd_state_save(
                            refreshed.optimizer,
                            new FloatPointer(1 << 16),
                            1 << 18,
                            (LongPointer) null));
            ok(lngd.lngd_step(refreshed.plan, 1, null));
        }
        assertThat(refreshed.weights()).isEqualTo(plain.weights());
        ok(lngd.lngd_destroy(plain.optimizer));
        ok(lngd.lngd_destroy(refreshed.optimizer));
    }

    @Test
    void aStepWithHostTensorsIsNotReplayed() {
        Abi.Net net = new Abi.Net().planned();
        net.step(1);
        int[] allowed = {7};
        ok(lngd.lngd_replay(net.plan, 1, allowed));
        assertThat(allowed[0]).isZero();
        invalid(lngd.lngd_replay(net.plan, Double.NaN, allowed), "factor");
        invalid(lngd.lngd_replay(net.plan, 1, (IntPointer) null), "allowed");
        ok(lngd.lngd_destroy(net.optimizer));
    }

    @Test
    void theDefaultStreamIsAStreamEverywhere() {
        Abi.Net net = new Abi.Net().planned();
        ok(lngd.lngd_set_stream(net.optimizer, null));
        net.step(1);
        ok(lngd.lngd_synchronize(net.optimizer));
        if (TestDevice.isCpu()) {
            invalid(lngd.lngd_set_stream(net.optimizer, new FloatPointer(1)), "stream");
        }
        ok(lngd.lngd_destroy(net.optimizer));
    }

    @Test
    void deviceSettingsAreChecked() {
        for (int precision : new int[] {-1, 5}) {
            refused(Abi.config(0).precision(precision), "precision");
        }
        for (int overlap : new int[] {-1, 2}) {
            refused(Abi.config(0).overlap(overlap), "overlap");
        }
        refused(Abi.config(0).device_index(-1), "device_index");
        refused(Abi.config(0).device(4), "device");
    }

    private static void refused(lngd_config config, String word) {
        invalid(lngd.lngd_create(config, Abi.layer(), 1, new lngd_optimizer()), word);
    }

    private static Pointer allocate(lngd_optimizer o, long bytes) {
        PointerPointer<Pointer> out = new PointerPointer<>(1);
        ok(lngd.lngd_device_allocate(o, bytes, out));
        return out.get(0);
    }

    private static Pointer moveIn(lngd_optimizer o, FloatPointer values, int count) {
        Pointer memory = allocate(o, 4L * count);
        ok(lngd.lngd_device_copy(o, memory, values, 4L * count));
        return memory;
    }

    private static void at(lngd_tensor t, Pointer memory, long... shape) {
        write(t, memory, shape);
        t.device_type(MEMORY);
    }
}
