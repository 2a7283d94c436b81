// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Approximation;
import org.lngd4j.Damping;
import org.lngd4j.Device;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.TrustRatio;
import org.lngd4j.cli.support.Devices;

/** What the names of optimizers mean to the library. */
class LngdChoiceTest {
    private static final long STEPS = 400;

    private static LngdOptions options(OptimizerKind kind, Object... more) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.putAll(
                Map.of(
                        "model",
                        "mlp",
                        "optimizer",
                        kind.toString(),
                        "epochs",
                        1,
                        "batch",
                        8,
                        "seed",
                        1L,
                        "device",
                        "auto",
                        "threads",
                        1,
                        "eval-every",
                        1.0));
        for (int i = 0; i < more.length; i += 2) {
            map.put((String) more[i], more[i + 1]);
        }
        return LngdChoice.options(TrainSettings.of(map), STEPS);
    }

    @ParameterizedTest
    @EnumSource(names = {"KFAC", "TKFAC", "EKFAC"})
    void rivalsHaveTheirOwnFactorsAndTheScheduleOfTheOthers(OptimizerKind kind) {
        LngdOptions options = options(kind);
        assertThat(options.approximation()).isEqualTo(Approximation.valueOf(kind.name()));
        assertThat(options.fisher()).isEqualTo(Fisher.PROVIDED);
        assertThat(options.damping()).isEqualTo(Damping.FACTORED);
        assertThat(options.trustMode()).isEqualTo(TrustRatio.OFF);
        assertThat(options.layerRate()).isEqualTo(LayerRate.NONE);
        assertThat(options.averaging()).isTrue();
        // EKFAC is left to the library, which takes the CPU and says why.
        assertThat(options.device())
                .isEqualTo(kind == OptimizerKind.EKFAC ? Device.AUTO : Devices.usable("auto"));
        assertThat(options.schedule().at(STEPS / 2, 0)).isBetween(0.49, 0.51);
        // The grid's start is what is used where nothing is said: compare relies on it.
        assertThat(options.learningRate()).isEqualTo(kind.axes().get(0).start());
        assertThat(options.dampingFactor()).isEqualTo(kind.axes().get(1).start());

        LngdOptions said = options(kind, "damping", 0.1, "averaged-weights", false);
        assertThat(said.damping()).isEqualTo(Damping.FACTORED);
        assertThat(said.dampingFactor()).isEqualTo(0.1);
        assertThat(said.averaging()).isFalse();
    }

    @Test
    void kfacWithTrustHasTheRestOfTheRecipe() {
        LngdOptions recipe = options(OptimizerKind.LNGD);
        LngdOptions options = options(OptimizerKind.KFAC_TRUST, "damping", 3.0);
        assertThat(options.approximation()).isEqualTo(Approximation.KFAC);
        assertThat(options.trustMode()).isEqualTo(TrustRatio.ALWAYS);
        assertThat(options.trustRatio()).isEqualTo(recipe.trustRatio());
        assertThat(options.learningRate()).isEqualTo(recipe.learningRate()).isEqualTo(1);
        assertThat(options.damping()).isEqualTo(Damping.RELATIVE);
        assertThat(options.dampingFactor()).isEqualTo(3);
        assertThat(options(OptimizerKind.KFAC_TRUST).dampingFactor())
                .isEqualTo(recipe.dampingFactor());
        assertThat(options.nesterov()).isFalse();
        assertThat(options.averaging()).isTrue();
        assertThat(options.schedule().at(STEPS / 2, 0))
                .isEqualTo(recipe.schedule().at(STEPS / 2, 0));
    }

    @Test
    void theAblationIsThePaperButForItsGradients() {
        LngdOptions paper = options(OptimizerKind.PAPER);
        assertThat(paper.fisher()).isEqualTo(Fisher.SAMPLED);
        LngdOptions ablation = options(OptimizerKind.LNGD_LR);
        Map<String, Object> expected = new LinkedHashMap<>(paper.asMap());
        expected.put("fisher", Fisher.PROVIDED);
        expected.remove("schedule");
        assertThat(ablation.asMap()).containsAllEntriesOf(expected);
    }
}
