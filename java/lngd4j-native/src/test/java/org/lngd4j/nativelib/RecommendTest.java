// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.ok;

import java.nio.charset.StandardCharsets;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;

/** lngd_recommend: what it chooses, and what it makes of bad arguments. */
class RecommendTest {
    private static final int CAPACITY = 512;

    private final lngd_config config = new lngd_config();
    private final BytePointer reason = new BytePointer(CAPACITY);

    @Test
    void aSoftmaxGetsThePresetForClassification() {
        lngd_layer_config layer = Abi.layer();
        layer.activation(lngd.LNGD_ACTIVATION_IDENTITY).output(lngd.LNGD_OUTPUT_SOFTMAX);
        assertThat(recommend(layer, 1000, 64)).startsWith("BLOCK_KRONECKER:");
        lngd_config preset = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_BLOCK_KRONECKER, 1000, preset));
        assertThat(bytes(config)).isEqualTo(bytes(preset));
    }

    @Test
    void otherOutputsGetThePresetForFitting() {
        assertThat(recommend(Abi.layer(), 1000, 64)).startsWith("BLOCK_KRONECKER_FIT:");
        assertThat(config.averaging()).isZero();
        assertThat(recommend(Abi.layer(), 1000, 8)).contains("8");
        assertThat(config.soft_trust()).isEqualTo(1);
    }

    @Test
    void theReasonIsCutToItsCapacityAndMayBeLeftOut() {
        String whole = recommend(Abi.layer(), 10, 10);
        BytePointer small = new BytePointer(6);
        ok(lngd.lngd_recommend(Abi.layer(), 1, 10, 10, config, small, 6));
        small.limit(0);
        assertThat(Status.text(small)).isEqualTo(whole.substring(0, 5));
        ok(lngd.lngd_recommend(Abi.layer(), 1, 10, 10, config, (BytePointer) null, 0));
    }

    @Test
    void badArgumentsAreRefusedAndNothingIsWritten() {
        Pointer.memset(config, 0x5A, config.sizeof());
        reason.put("untouched\0".getBytes(StandardCharsets.US_ASCII));
        byte[] before = bytes(config);
        invalid(status(null, 1, 10, 10, config), "layers");
        invalid(status(Abi.layer(), 1, 10, 10, null), "config");
        invalid(status(Abi.layer(), 0, 10, 10, config), "count", "0");
        invalid(status(Abi.layer(), -3, 10, 10, config), "count", "-3");
        invalid(status(Abi.layer(), 1, 0, 10, config), "total_steps", "0");
        invalid(status(Abi.layer(), 1, Long.MIN_VALUE, 10, config), "total_steps");
        invalid(status(Abi.layer(), 1, 10, 0, config), "batch", "0");
        invalid(status(Abi.layer(), 1, 10, -1, config), "batch", "-1");
        invalid(status(Abi.layer().outputs(0), 1, 10, 10, config), "outputs", "0");
        invalid(status(Abi.layer().kind(9), 1, 10, 10, config), "kind", "9");
        invalid(status(Abi.layer().struct_size(3), 1, 10, 10, config), "struct_size");
        invalid(lngd.lngd_recommend(Abi.layer(), 1, 10, 10, config, reason, -1), "capacity", "-1");
        invalid(
                lngd.lngd_recommend(Abi.layer(), 1, 10, 10, config, (BytePointer) null, 5),
                "reason");
        assertThat(bytes(config)).isEqualTo(before);
        reason.limit(0);
        assertThat(Status.text(reason)).isEqualTo("untouched");
    }

    private int status(
            lngd_layer_config layer, int count, long steps, long batch, lngd_config out) {
        return lngd.lngd_recommend(layer, count, steps, batch, out, reason, CAPACITY);
    }

    private String recommend(lngd_layer_config layer, long steps, long batch) {
        reason.limit(CAPACITY);
        ok(status(layer, 1, steps, batch, config));
        reason.limit(0);
        return Status.text(reason);
    }

    private static byte[] bytes(lngd_config c) {
        byte[] bytes = new byte[c.sizeof()];
        new BytePointer(c).limit(bytes.length).get(bytes);
        return bytes;
    }
}
