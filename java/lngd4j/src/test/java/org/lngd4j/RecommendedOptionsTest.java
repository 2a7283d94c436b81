// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** {@link LngdOptions#recommended}: which preset, which settings, and what is refused. */
class RecommendedOptionsTest {
    private static final LayerSpec HIDDEN = LayerSpec.dense("hidden", 20, 30);
    private static final LayerSpec CLASSES =
            LayerSpec.dense("classes", 30, 10).output(OutputModel.SOFTMAX);
    private static final LayerSpec VALUES =
            LayerSpec.dense("values", 30, 2)
                    .activation(Activation.IDENTITY)
                    .output(OutputModel.SQUARED_ERROR);

    @Test
    void aClassifierGetsBlockKronecker() {
        LngdOptions options = LngdOptions.recommended(List.of(HIDDEN, CLASSES), 1000, 64);
        assertThat(options).isEqualTo(LngdOptions.blockKronecker(1000).build());
        assertThat(options.reason()).startsWith("BLOCK_KRONECKER:");
        assertThat(options.toString()).endsWith("(" + options.reason() + ")");
        LayerSpec flags = LayerSpec.dense("flags", 30, 10).output(OutputModel.SIGMOID);
        assertThat(LngdOptions.recommended(List.of(HIDDEN, flags), 1000, 64)).isEqualTo(options);
    }

    @Test
    void regressionAndAutoencodersGetTheFit() {
        LngdOptions fit = LngdOptions.blockKroneckerFit(1000).build();
        assertThat(LngdOptions.recommended(List.of(HIDDEN, VALUES), 1000, 64)).isEqualTo(fit);
        LayerSpec pixels = LayerSpec.dense("pixels", 30, 20).output(OutputModel.SIGMOID);
        LngdOptions autoencoder = LngdOptions.recommended(List.of(HIDDEN, pixels), 1000, 64);
        assertThat(autoencoder).isEqualTo(fit);
        assertThat(autoencoder.reason()).contains("autoencoder");
    }

    @Test
    void convolutionsTakeFewerSamplesAndLessOften() {
        LayerSpec conv = LayerSpec.convolution("conv", 3, 8, 5, 5);
        LngdOptions options = LngdOptions.recommended(List.of(conv, CLASSES), 120, 64);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER);
        assertThat(options.statisticsSamples()).isEqualTo(64);
        assertThat(options.statisticsInterval()).isEqualTo(3); // 120 / 40
        assertThat(options.reason()).contains("64 samples");
    }

    @Test
    void embeddingsAreTrainedBothSided() {
        LayerSpec words = LayerSpec.embedding("words", 50, 30);
        LngdOptions options = LngdOptions.recommended(List.of(words, CLASSES), 1000, 64);
        assertThat(options).isEqualTo(LngdOptions.blockKronecker(1000).build());
        // Sentences of a dozen tokens: whitened orthogonalisation pays.
        assertThat(LngdOptions.recommended(List.of(words, CLASSES), 1000, 768).orthogonalise())
                .isTrue();
        for (Approximation approximation : Approximation.values()) {
            LngdOptions.Builder any = LngdOptions.ngPlus().approximation(approximation);
            if (approximation.hasEmbeddings()) {
                LngdOptimizer.create(any.build(), List.of(words)).close();
            } else {
                assertThatThrownBy(() -> LngdOptimizer.create(any.build(), List.of(words)))
                        .hasMessageContaining("approximation");
            }
        }
    }

    @Test
    void smallBatchesGetASoftTrustRatio() {
        LngdOptions options = LngdOptions.recommended(List.of(HIDDEN, VALUES), 1000, 8);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER_FIT);
        assertThat(options.softTrust()).isTrue();
        assertThat(options.reason()).contains("8");
        assertThat(LngdOptions.recommended(List.of(HIDDEN, VALUES), 1000, 32).softTrust())
                .isFalse();
    }

    @Test
    void largeBatchesAreOrthogonalised() {
        LngdOptions options = LngdOptions.recommended(List.of(HIDDEN, CLASSES), 100, 4096);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER);
        assertThat(options.orthogonalise()).isTrue();
        assertThat(options.schedule()).isEqualTo(Schedule.cosine(100));
        assertThat(options.reason()).contains("orthogonalisation", "100", "4096");
    }

    @Test
    void theReasonStaysWithChangedOptions() {
        LngdOptions options = LngdOptions.recommended(List.of(HIDDEN, CLASSES), 1000, 64);
        LngdOptions.Builder changed = options.toBuilder().device(Device.CPU).seed(3);
        assertThat(changed.build().reason()).isEqualTo(options.reason());
        assertThat(changed.build().device()).isEqualTo(Device.CPU);
        assertThat(changed.reason("by hand").build().reason()).isEqualTo("by hand");
        assertThatThrownBy(() -> changed.reason(null)).hasMessageContaining("reason");
    }

    @Test
    void badArgumentsAreRefusedByName() {
        List<LayerSpec> layers = List.of(HIDDEN, CLASSES);
        refused(null, 10, 10, "layers");
        refused(List.of(), 10, 10, "layers", "empty");
        refused(Collections.singletonList(null), 10, 10, "layers[0]");
        refused(Arrays.asList(HIDDEN, null), 10, 10, "layers[1]");
        refused(layers, 0, 10, "total_steps", "0");
        refused(layers, -5, 10, "total_steps", "-5");
        refused(layers, 10, 0, "batch", "0");
        refused(layers, 10, Integer.MIN_VALUE, "batch");
    }

    private static void refused(List<LayerSpec> layers, long steps, int batch, String... words) {
        assertThatThrownBy(() -> LngdOptions.recommended(layers, steps, batch))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }
}
