// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.INPUTS;
import static org.lngd4j.nativelib.Abi.OUTPUTS;
import static org.lngd4j.nativelib.Abi.SAMPLES;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;
import static org.lngd4j.nativelib.Abi.random;
import static org.lngd4j.nativelib.Abi.strided;
import static org.lngd4j.nativelib.Abi.tensor;
import static org.lngd4j.nativelib.Abi.values;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_tensor;

/** lngd_needs, lngd_observe and lngd_observe_strided. */
@Tag(TestDevice.TAG)
class ObserveTest {
    @Test
    void needsAreTold() {
        Abi.Net net =
                new Abi.Net(Abi.config(lngd.LNGD_PRESET_RECIPE).statistics_interval(2)).planned();
        int[] bits = new int[1];
        ok(lngd.lngd_needs(net.optimizer, 0, bits));
        assertThat(bits[0]).isEqualTo(lngd.LNGD_NEEDS_STATISTICS);
        net.step(1);
        ok(lngd.lngd_needs(net.optimizer, 0, bits));
        assertThat(bits[0]).isZero();
        net.step(2);
        ok(lngd.lngd_needs(net.optimizer, 0, bits));
        assertThat(bits[0]).isEqualTo(lngd.LNGD_NEEDS_STATISTICS);
        invalid(lngd.lngd_needs(net.optimizer, 1, bits), "layer", "1");
        invalid(lngd.lngd_needs(net.optimizer, -1, bits), "layer", "-1");
        invalid(lngd.lngd_needs(net.optimizer, 0, (IntPointer) null), "bits");
    }

    @Test
    void badTensorsAreRefused() {
        lngd_optimizer o = Abi.optimizer();
        BadTensors.matrix()
                .forEach(
                        (what, spoil) -> {
                            String word = what.substring(what.lastIndexOf(' ') + 1);
                            lngd_tensor inputs = Abi.inputs();
                            spoil.accept(inputs);
                            invalid(Abi.observe(o, inputs, Abi.signal()), "inputs", word);
                            lngd_tensor signal = Abi.signal();
                            spoil.accept(signal);
                            invalid(Abi.observe(o, Abi.inputs(), signal), "signal", word);
                        });
        invalid(Abi.observe(o, null, Abi.signal()), "inputs");
        invalid(Abi.observe(o, Abi.inputs(), null), "signal");
    }

    @Test
    void wrongShapesAreRefused() {
        lngd_optimizer o = Abi.optimizer();
        FloatPointer data = random(1, 100);
        invalid(Abi.observe(o, tensor(data, SAMPLES, INPUTS + 1), Abi.signal()), "inputs", "6");
        invalid(Abi.observe(o, tensor(data, INPUTS, SAMPLES), Abi.signal()), "inputs");
        invalid(Abi.observe(o, Abi.inputs(), tensor(data, SAMPLES, OUTPUTS - 1)), "signal", "2");
        invalid(Abi.observe(o, Abi.inputs(), tensor(data, SAMPLES - 1, OUTPUTS)), "signal");
    }

    @Test
    void badKindsAndLayersAreRefused() {
        lngd_optimizer o = Abi.optimizer();
        for (int kind : new int[] {-1, 3, Integer.MAX_VALUE}) {
            invalid(
                    lngd.lngd_observe(o, 0, Abi.inputs(), Abi.signal(), kind),
                    "signal_kind",
                    Integer.toString(kind));
        }
        // Gradients belong to PROVIDED, and only there; outputs cannot tell the derivative of GELU.
        invalid(
                lngd.lngd_observe(o, 0, Abi.inputs(), Abi.signal(), lngd.LNGD_SIGNAL_GRADIENTS),
                "signal_kind");
        lngd_optimizer provided =
                Abi.optimizer(Abi.config(0), Abi.layer().fisher(lngd.LNGD_FISHER_PROVIDED));
        invalid(Abi.observe(provided, Abi.inputs(), Abi.signal()), "signal_kind");
        ok(lngd.lngd_observe(provided, 0, Abi.inputs(), Abi.signal(), lngd.LNGD_SIGNAL_GRADIENTS));
        lngd_optimizer gelu =
                Abi.optimizer(Abi.config(0), Abi.layer().activation(lngd.LNGD_ACTIVATION_GELU));
        invalid(
                lngd.lngd_observe(gelu, 0, Abi.inputs(), Abi.signal(), lngd.LNGD_SIGNAL_OUTPUTS),
                "signal_kind");
        for (int layer : new int[] {-1, 1, Integer.MAX_VALUE}) {
            invalid(
                    lngd.lngd_observe(o, layer, Abi.inputs(), Abi.signal(), 0),
                    "layer",
                    Integer.toString(layer));
        }
    }

    @Test
    void badArgumentsOfTheStridedFormAreRefused() {
        lngd_optimizer o = Abi.optimizer();
        FloatPointer a = random(1, 100);
        FloatPointer s = random(2, 100);
        invalid(lngd.lngd_observe_strided(o, 0, 0, a, 5, 1, s, 3, 1, 0), "0 rows");
        invalid(lngd.lngd_observe_strided(o, 0, -2, a, 5, 1, s, 3, 1, 0), "-2");
        invalid(
                lngd.lngd_observe_strided(o, 0, 4, (FloatPointer) null, 5, 1, s, 3, 1, 0),
                "inputs");
        invalid(
                lngd.lngd_observe_strided(o, 0, 4, a, 5, 1, (FloatPointer) null, 3, 1, 0),
                "signal");
        invalid(lngd.lngd_observe_strided(o, 2, 4, a, 5, 1, s, 3, 1, 0), "layer", "2");
        invalid(lngd.lngd_observe_strided(o, 0, 4, a, 5, 1, s, 3, 1, 9), "signal_kind", "9");
        ok(lngd.lngd_observe_strided(o, 0, 4, a, 5, 1, s, 3, 1, 0));
    }

    @Test
    void anyStridesGiveTheSameStatistics() {
        FloatPointer a = random(11, SAMPLES * INPUTS);
        FloatPointer s = random(12, SAMPLES * OUTPUTS);
        float[] plain = phiAfter(tensor(a, SAMPLES, INPUTS), tensor(s, SAMPLES, OUTPUTS));
        long[] aShape = {SAMPLES, INPUTS};
        long[] sShape = {SAMPLES, OUTPUTS};

        // Column-major.
        FloatPointer aColumns = new FloatPointer(SAMPLES * INPUTS);
        FloatPointer sColumns = new FloatPointer(SAMPLES * OUTPUTS);
        // Rows and columns backwards: element 0 lies at the end.
        FloatPointer aBack = new FloatPointer(SAMPLES * INPUTS);
        for (int n = 0; n < SAMPLES; n++) {
            for (int j = 0; j < INPUTS; j++) {
                aColumns.put(j * SAMPLES + n, a.get(n * INPUTS + j));
                aBack.put(SAMPLES * INPUTS - 1 - (n * INPUTS + j), a.get(n * INPUTS + j));
            }
            for (int i = 0; i < OUTPUTS; i++) {
                sColumns.put(i * SAMPLES + n, s.get(n * OUTPUTS + i));
            }
        }
        assertThat(
                        phiAfter(
                                strided(aColumns, aShape, 1, SAMPLES),
                                strided(sColumns, sShape, 1, SAMPLES)))
                .isEqualTo(plain);
        FloatPointer end = aBack.getPointer(SAMPLES * INPUTS - 1);
        assertThat(phiAfter(strided(end, aShape, -INPUTS, -1), tensor(s, SAMPLES, OUTPUTS)))
                .isEqualTo(plain);
    }

    @Test
    void anyByteAlignmentGivesTheSameStatistics() {
        FloatPointer a = random(11, SAMPLES * INPUTS);
        FloatPointer s = random(12, SAMPLES * OUTPUTS);
        float[] plain = phiAfter(tensor(a, SAMPLES, INPUTS), tensor(s, SAMPLES, OUTPUTS));
        for (int shift = 1; shift < 5; shift++) {
            BytePointer bytes = new BytePointer(4L * SAMPLES * INPUTS + 8);
            Pointer.memcpy(new BytePointer(bytes).position(shift), a, 4L * SAMPLES * INPUTS);
            lngd_tensor inputs = tensor(bytes, SAMPLES, INPUTS).byte_offset(shift);
            assertThat(phiAfter(inputs, tensor(s, SAMPLES, OUTPUTS))).isEqualTo(plain);
        }
    }

    @Test
    void strideZeroRepeatsASample() {
        FloatPointer a = random(11, INPUTS);
        FloatPointer s = random(12, OUTPUTS);
        float[] once = phiAfter(tensor(a, 1, INPUTS), tensor(s, 1, OUTPUTS));
        float[] repeated =
                phiAfter(
                        strided(a, new long[] {8, INPUTS}, 0, 1),
                        strided(s, new long[] {8, OUTPUTS}, 0, 1));
        // A mean of 8 equal terms: a power of two, so the same bits but for the order of rounding.
        for (int i = 0; i < once.length; i++) {
            assertThat(repeated[i]).isCloseTo(once[i], org.assertj.core.data.Offset.offset(1e-5f));
        }
    }

    @Test
    void notANumberStaysOutOfTheAverages() {
        for (float poison :
                new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            Abi.Net net = new Abi.Net().planned();
            net.step(1);
            float[] before = phi(net.optimizer);
            FloatPointer a = random(5, SAMPLES * INPUTS).put(7, poison);
            ok(Abi.observe(net.optimizer, tensor(a, SAMPLES, INPUTS), Abi.signal()));
            ok(lngd.lngd_step(net.plan, 1, null));
            assertThat(phi(net.optimizer)).isEqualTo(before);
            lngd_health health = new lngd_health();
            ok(lngd.lngd_layer_health(net.optimizer, 0, health.struct_size(health.sizeof())));
            assertThat(health.skipped_statistics()).isEqualTo(1);
            assertThat(health.statistics_updates()).isEqualTo(1);
        }
    }

    private static float[] phiAfter(lngd_tensor inputs, lngd_tensor signal) {
        Abi.Net net = new Abi.Net().planned();
        ok(Abi.observe(net.optimizer, inputs, signal));
        ok(lngd.lngd_step(net.plan, 1, null));
        return phi(net.optimizer);
    }

    private static float[] phi(lngd_optimizer optimizer) {
        int size = (INPUTS + 1) * (INPUTS + 1);
        FloatPointer out = new FloatPointer(size);
        ok(
                lngd.lngd_layer_read(
                        optimizer,
                        0,
                        lngd.LNGD_FIELD_PHI,
                        out,
                        size,
                        (org.bytedeco.javacpp.LongPointer) null));
        return values(out, size);
    }
}
