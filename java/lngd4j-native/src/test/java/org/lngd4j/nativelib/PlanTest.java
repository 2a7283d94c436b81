// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_binding;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_tensor;

/** lngd_plan_create: what it accepts, and what it refuses. */
@Tag(TestDevice.TAG)
class PlanTest {
    private static final Map<String, Function<lngd_binding, lngd_tensor>> MATRICES =
            new LinkedHashMap<>();
    private static final Map<String, Function<lngd_binding, lngd_tensor>> VECTORS =
            new LinkedHashMap<>();

    static {
        MATRICES.put("weights", lngd_binding::weights);
        MATRICES.put("weight_gradients", lngd_binding::weight_gradients);
        VECTORS.put("bias", lngd_binding::bias);
        VECTORS.put("bias_gradients", lngd_binding::bias_gradients);
    }

    @Test
    void badMatricesAreRefused() {
        MATRICES.forEach(
                (name, tensor) ->
                        BadTensors.matrix()
                                .forEach(
                                        (what, spoil) -> {
                                            String word = what.substring(what.lastIndexOf(' ') + 1);
                                            invalid(
                                                    new Abi.Net()
                                                            .create(
                                                                    b ->
                                                                            spoil.accept(
                                                                                    tensor.apply(
                                                                                            b))),
                                                    name,
                                                    word);
                                        }));
    }

    @Test
    void badVectorsAreRefused() {
        VECTORS.forEach(
                (name, tensor) -> {
                    invalid(
                            new Abi.Net().create(b -> tensor.apply(b).data((Pointer) null)),
                            name,
                            "data");
                    invalid(new Abi.Net().create(b -> tensor.apply(b).ndim(2)), name, "ndim");
                    invalid(
                            new Abi.Net().create(b -> tensor.apply(b).dtype_bits((byte) 64)),
                            name,
                            "dtype");
                    invalid(
                            new Abi.Net().create(b -> tensor.apply(b).device_type(7)),
                            name,
                            "device");
                    LongPointer wrong = new LongPointer(new long[] {OUTPUTS + 1});
                    invalid(new Abi.Net().create(b -> tensor.apply(b).shape(wrong)), name, "4");
                });
    }

    @Test
    void wrongShapesAreRefused() {
        MATRICES.forEach(
                (name, tensor) -> {
                    LongPointer transposed = new LongPointer(INPUTS, OUTPUTS);
                    invalid(new Abi.Net().create(b -> tensor.apply(b).shape(transposed)), name);
                });
    }

    @Test
    void strideZeroIsRefused() {
        MATRICES.forEach(
                (name, tensor) -> {
                    LongPointer zero = new LongPointer(0, 1);
                    invalid(
                            new Abi.Net().create(b -> tensor.apply(b).strides(zero)),
                            name,
                            "stride");
                });
    }

    @Test
    void overlapIsRefusedWhereItIsWritten() {
        FloatPointer one = Abi.random(1, 100);
        invalid(
                new Abi.Net()
                        .create(
                                b -> {
                                    b.weights().data(one);
                                    b.weight_gradients().data(one);
                                }),
                "overlap");
        invalid(
                new Abi.Net()
                        .create(
                                b -> {
                                    b.weights().data(one);
                                    b.bias().data(one.getPointer(OUTPUTS * INPUTS - 1));
                                }),
                "overlap");
    }

    @Test
    void badArgumentsAreRefused() {
        Abi.Net net = new Abi.Net();
        lngd_plan plan = new lngd_plan();
        invalid(lngd.lngd_plan_create(net.optimizer, null, 1, 0, plan), "bindings");
        invalid(lngd.lngd_plan_create(net.optimizer, net.binding, 0, 0, plan), "count", "0");
        invalid(lngd.lngd_plan_create(net.optimizer, net.binding, -1, 0, plan), "count", "-1");
        invalid(lngd.lngd_plan_create(net.optimizer, net.binding, 1, 2, plan), "update", "2");
        invalid(lngd.lngd_plan_create(net.optimizer, net.binding, 1, -1, plan), "update", "-1");
        invalid(lngd.lngd_plan_create(net.optimizer, net.binding, 1, 0, (lngd_plan) null), "out");
        for (int layer : new int[] {-1, 1, Integer.MIN_VALUE}) {
            invalid(new Abi.Net().create(b -> b.layer(layer)), "layer", Integer.toString(layer));
        }
        assertThat(plan.isNull()).isTrue();
    }

    @Test
    void aLayerMayBeInAPlanOnce() {
        Abi.Net net = new Abi.Net();
        lngd_binding two = new lngd_binding(2);
        for (int i = 0; i < 2; i++) {
            Pointer.memcpy(two.getPointer(i), net.binding, net.binding.sizeof());
        }
        // Also more bindings than layers; either is a reason.
        invalid(lngd.lngd_plan_create(net.optimizer, two, 2, 0, net.plan));
    }

    @Test
    void negativeStridesGiveTheSameWeights() {
        Abi.Net plain = new Abi.Net().planned();
        plain.step(1);
        Abi.Net backwards = new Abi.Net();
        int count = OUTPUTS * INPUTS;
        FloatPointer reversed = new FloatPointer(count);
        for (int i = 0; i < count; i++) {
            reversed.put(count - 1 - i, backwards.weights.get(i));
        }
        LongPointer strides = new LongPointer(-INPUTS, -1);
        ok(
                backwards.create(
                        b -> b.weights().data(reversed.getPointer(count - 1)).strides(strides)));
        backwards.step(1);
        for (int i = 0; i < count; i++) {
            assertThat(reversed.get(count - 1 - i)).isEqualTo(plain.weights.get(i));
        }
        assertThat(plain.weights()).isNotEqualTo(new Abi.Net().weights());
    }
}
