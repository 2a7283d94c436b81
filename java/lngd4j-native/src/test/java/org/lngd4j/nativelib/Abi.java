// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_binding;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_tensor;

/** Short hands for tests of the C ABI. Memory is left to JavaCPP's garbage collection. */
final class Abi {
    /** One layer of the tests: 5 inputs, 3 outputs, bias. */
    static final int INPUTS = 5;

    static final int OUTPUTS = 3;
    static final int SAMPLES = 4;

    private Abi() {}

    static void ok(int status) {
        assertThat(status).as(() -> Status.text(lngd.lngd_last_error())).isEqualTo(lngd.LNGD_OK);
    }

    /** Asserts a status, and that the message holds some words. */
    static void fails(int expected, int status, String... words) {
        String message = Status.text(lngd.lngd_last_error());
        assertThat(Status.text(lngd.lngd_status_name(status)))
                .as(message)
                .isEqualTo(Status.text(lngd.lngd_status_name(expected)));
        assertThat(message).isNotBlank().doesNotContain("\n");
        for (String word : words) {
            assertThat(message).contains(word);
        }
    }

    static void invalid(int status, String... words) {
        fails(lngd.LNGD_INVALID_ARGUMENT, status, words);
    }

    static lngd_config config(int preset) {
        lngd_config config = new lngd_config();
        ok(lngd.lngd_config_init(preset, 100, config));
        config.device(TestDevice.CODE).threads(1).statistics_interval(1).inverse_interval(1);
        config.precision(lngd.LNGD_PRECISION_TF32X3); // the tolerances are those of float32
        return config;
    }

    static lngd_layer_config layer() {
        lngd_layer_config layer = new lngd_layer_config();
        ok(lngd.lngd_layer_init(INPUTS, OUTPUTS, layer));
        return layer;
    }

    static lngd_optimizer optimizer() {
        return optimizer(config(lngd.LNGD_PRESET_RECIPE), layer());
    }

    static lngd_optimizer optimizer(lngd_config config, lngd_layer_config layer) {
        lngd_optimizer out = new lngd_optimizer();
        ok(lngd.lngd_create(config, layer, 1, out));
        assertThat(out.isNull()).isFalse();
        return out;
    }

    static FloatPointer floats(float... values) {
        return new FloatPointer(values);
    }

    static FloatPointer random(long seed, int count) {
        Random random = new Random(seed);
        FloatPointer p = new FloatPointer(count);
        for (int i = 0; i < count; i++) {
            p.put(i, (float) random.nextGaussian());
        }
        return p;
    }

    static float[] values(FloatPointer p, int count) {
        float[] values = new float[count];
        p.get(values);
        return values;
    }

    /** A compact float tensor, without strides. */
    static lngd_tensor tensor(Pointer data, long... shape) {
        lngd_tensor t = new lngd_tensor();
        write(t, data, shape);
        return t;
    }

    static void write(lngd_tensor t, Pointer data, long... shape) {
        Pointer.memset(t, 0, t.sizeof());
        Keep.it(data);
        t.data(data).device_type(1).ndim(shape.length);
        t.dtype_code((byte) 2).dtype_bits((byte) 32).dtype_lanes((short) 1);
        t.shape(Keep.longs(shape));
    }

    static lngd_tensor strided(Pointer data, long[] shape, long... strides) {
        return tensor(data, shape).strides(Keep.longs(strides));
    }

    static lngd_tensor inputs() {
        return tensor(random(1, SAMPLES * INPUTS), SAMPLES, INPUTS);
    }

    static lngd_tensor signal() {
        return tensor(random(2, SAMPLES * OUTPUTS), SAMPLES, OUTPUTS);
    }

    static int observe(lngd_optimizer optimizer, lngd_tensor inputs, lngd_tensor signal) {
        return lngd.lngd_observe(optimizer, 0, inputs, signal, lngd.LNGD_SIGNAL_PRE_ACTIVATIONS);
    }

    /** A plan with its arrays. */
    static final class Net {
        final lngd_optimizer optimizer;
        final FloatPointer weights = random(3, OUTPUTS * INPUTS);
        final FloatPointer bias = random(4, OUTPUTS);
        final FloatPointer weightGradients = random(5, OUTPUTS * INPUTS);
        final FloatPointer biasGradients = random(6, OUTPUTS);
        final lngd_binding binding = new lngd_binding();
        final lngd_plan plan = new lngd_plan();

        Net() {
            this(config(lngd.LNGD_PRESET_RECIPE));
        }

        Net(lngd_config config) {
            this(Abi.optimizer(config, layer()));
        }

        Net(lngd_optimizer optimizer) {
            this.optimizer = optimizer;
            Pointer.memset(binding, 0, binding.sizeof());
            write(binding.weights(), weights, OUTPUTS, INPUTS);
            write(binding.bias(), bias, OUTPUTS);
            write(binding.weight_gradients(), weightGradients, OUTPUTS, INPUTS);
            write(binding.bias_gradients(), biasGradients, OUTPUTS);
        }

        Net planned() {
            ok(create());
            return this;
        }

        int create() {
            return lngd.lngd_plan_create(optimizer, binding, 1, lngd.LNGD_UPDATE_WEIGHTS, plan);
        }

        /** Creates a plan after a change of the binding. */
        int create(Consumer<lngd_binding> change) {
            change.accept(binding);
            return create();
        }

        /** Observes a fixed batch and steps. */
        void step(long seed) {
            ok(
                    observe(
                            optimizer,
                            tensor(random(seed, SAMPLES * INPUTS), SAMPLES, INPUTS),
                            tensor(random(seed + 1000, SAMPLES * OUTPUTS), SAMPLES, OUTPUTS)));
            ok(lngd.lngd_step(plan, 1, null));
        }

        float[] weights() {
            return values(weights, OUTPUTS * INPUTS);
        }
    }

    /** Data, shapes and strides must outlive the tensors that point to them. */
    private static final class Keep {
        private static final List<Pointer> ALL = Collections.synchronizedList(new ArrayList<>());

        static void it(Pointer p) {
            ALL.add(p);
        }

        static LongPointer longs(long... values) {
            LongPointer p = new LongPointer(values);
            it(p);
            return p;
        }
    }
}
