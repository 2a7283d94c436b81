// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Approximation;
import org.lngd4j.Damping;
import org.lngd4j.DampingScope;
import org.lngd4j.Device;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.TrustRatio;
import org.lngd4j.WeightDecay;
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
        return LngdChoice.options(TrainSettings.of(map), null, STEPS);
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
    void kfacWithTrustAndDecayDecaysInUnitsOfTheTrustRatio() {
        LngdOptions plain = options(OptimizerKind.KFAC_TRUST);
        LngdOptions options = options(OptimizerKind.KFAC_TRUST_DECAY);
        assertThat(plain.weightDecay()).isZero();
        assertThat(options.decayMode()).isEqualTo(WeightDecay.TRUST);
        assertThat(options.weightDecay())
                .isEqualTo(OptimizerKind.KFAC_TRUST_DECAY.axes().get(2).start());
        assertThat(options.toBuilder().weightDecay(0, plain.decayMode()).build()).isEqualTo(plain);
        LngdOptions said = options(OptimizerKind.KFAC_TRUST_DECAY, "weight-decay", 0.1);
        assertThat(said.weightDecay()).isEqualTo(0.1);
        assertThat(said.decayMode()).isEqualTo(WeightDecay.TRUST);
    }

    @Test
    void ngPlusHasTheScheduleOfTheOthers() {
        LngdOptions options = options(OptimizerKind.NGPLUS);
        assertThat(options.approximation()).isEqualTo(Approximation.NGPLUS);
        assertThat(options.damping()).isEqualTo(Damping.RELATIVE);
        assertThat(options.averaging()).isTrue();
        assertThat(options.schedule().at(STEPS / 2, 0)).isBetween(0.49, 0.51);
        assertThat(options.learningRate()).isEqualTo(OptimizerKind.NGPLUS.axes().get(0).start());
        assertThat(options.dampingFactor()).isEqualTo(OptimizerKind.NGPLUS.axes().get(1).start());
    }

    /** Compare's grids begin where the presets are. */
    @Test
    void blockKroneckerIsThePresetAndTheStartOfItsGrids() {
        for (boolean fit : new boolean[] {false, true}) {
            String preset = fit ? "block-kronecker-fit" : "block-kronecker";
            LngdOptions options = options(OptimizerKind.LNGD, "preset", preset);
            List<TuningAxis> axes = OptimizerKind.LNGD.axes(preset);
            assertThat(options.preset())
                    .isEqualTo(fit ? Preset.BLOCK_KRONECKER_FIT : Preset.BLOCK_KRONECKER);
            assertThat(options.dampingFactor()).isEqualTo(axes.get(1).start());
            // The grid's law has no 50 or 100 steps more.
            assertThat(axes.get(0).startValue(STEPS))
                    .isCloseTo(options.trustRatio(), withinPercentage(15));
        }
        LngdOptions said =
                options(
                        OptimizerKind.LNGD,
                        "preset",
                        "block-kronecker",
                        "damping",
                        2.0,
                        "weight-decay",
                        0.1,
                        "soft-trust",
                        false,
                        "output-bound",
                        false,
                        "output-decay",
                        1.0,
                        "second-damping",
                        1.0,
                        "second-block-size",
                        64);
        assertThat(said.damping()).isEqualTo(Damping.SIGNAL);
        assertThat(said.dampingFactor()).isEqualTo(2);
        assertThat(said.dampingMax()).isEqualTo(20);
        assertThat(said.decayMode()).isEqualTo(WeightDecay.TRUST);
        assertThat(said.weightDecay()).isEqualTo(0.1);
        assertThat(said.softTrust()).isFalse();
        assertThat(said.outputBound()).isFalse();
        assertThat(said.outputDecay()).isEqualTo(1);
        assertThat(said.secondDamping()).isEqualTo(1);
        assertThat(said.secondBlockSize()).isEqualTo(64);
    }

    @Test
    void singleSettingsOfTheRecipeAreReached() {
        LngdOptions options =
                options(
                        OptimizerKind.LNGD,
                        "damping-scope",
                        "layer",
                        "decay-mode",
                        "trust",
                        "weight-decay",
                        0.3,
                        "soft-trust",
                        true,
                        "gradient-clipping",
                        1.5);
        assertThat(options.gradientClipping()).isEqualTo(1.5);
        assertThat(options.dampingScope()).isEqualTo(DampingScope.LAYER);
        assertThat(options.decayMode()).isEqualTo(WeightDecay.TRUST);
        assertThat(options.weightDecay()).isEqualTo(0.3);
        assertThat(options.softTrust()).isTrue();
        LngdOptions orthogonal =
                options(OptimizerKind.LNGD, "preset", "block-kronecker", "orthogonalise", true);
        assertThat(orthogonal.orthogonalise()).isTrue();
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
