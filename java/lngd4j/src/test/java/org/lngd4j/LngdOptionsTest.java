// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;

/** Presets, ranges, and copies of options. */
class LngdOptionsTest {
    private interface DoubleSetter extends BiConsumer<LngdOptions.Builder, Double> {}

    private interface IntSetter extends BiConsumer<LngdOptions.Builder, Integer> {}

    @Test
    void presetsAreThoseOfTheRecipe() {
        LngdOptions recipe = LngdOptions.recipe(400).build();
        assertThat(recipe.trustRatio()).isCloseTo(0.17 / 20, Offset.offset(1e-15));
        assertThat(recipe.trustMode()).isEqualTo(TrustRatio.ALWAYS);
        assertThat(recipe.fisher()).isEqualTo(Fisher.EXPECTED);
        assertThat(recipe.layerRate()).isEqualTo(LayerRate.NONE);
        assertThat(recipe.device()).isEqualTo(Device.AUTO);
        assertThat(recipe.precision()).isEqualTo(Precision.AUTO);
        assertThat(recipe.directionPrecision()).isEqualTo(Precision.TF32X3);
        assertThat(recipe.overlap()).isTrue();
        assertThat(recipe.gradientClipping()).isZero();
        assertThat(recipe.blockSize()).isEqualTo(128);
        assertThat(recipe.schedule()).isEqualTo(Schedule.cosine(400));
        LngdOptions fit = LngdOptions.recipeFit(400).build();
        assertThat(fit.nesterov()).isTrue();
        assertThat(fit.trustRatio()).isEqualTo(0.005);
        assertThat(fit.trustDepthSlope()).isEqualTo(1.5);
        assertThat(fit.dampingFactor()).isEqualTo(0.3);
        assertThat(fit.blockSize()).isZero();
        assertThat(fit.schedule()).isEqualTo(Schedule.linear(400));
        LngdOptions empirical = LngdOptions.recipeEmpirical(400).build();
        assertThat(empirical.layerRate()).isEqualTo(LayerRate.EMPIRICAL);
        assertThat(empirical.trustMode()).isEqualTo(TrustRatio.CAP);
        LngdOptions paper = LngdOptions.paper().build();
        assertThat(paper.fisher()).isEqualTo(Fisher.SAMPLED);
        assertThat(paper.damping()).isEqualTo(Damping.ABSOLUTE);
        assertThat(paper.dampingMin()).isEqualTo(1e-5);
        assertThat(paper.dampingMax()).isEqualTo(1e-2);
        assertThat(paper.schedule()).isEqualTo(Schedule.constant(1));
        assertThat(paper.averaging()).isFalse();
        assertThat(paper.approximation()).isEqualTo(Approximation.LNGD);
    }

    @Test
    void blockKroneckerIsThatOfTheSecondStudy() {
        LngdOptions c = LngdOptions.blockKronecker(350).build();
        assertThat(c.approximation()).isEqualTo(Approximation.KFAC);
        assertThat(c.fisher()).isEqualTo(Fisher.PROVIDED);
        assertThat(c.damping()).isEqualTo(Damping.SIGNAL);
        assertThat(c.dampingFactor()).isEqualTo(0.7);
        assertThat(c.dampingMin()).isEqualTo(0.02);
        assertThat(c.dampingMax()).isEqualTo(20);
        assertThat(c.secondDamping()).isEqualTo(3);
        assertThat(c.signalReference()).isZero();
        assertThat(c.trustMode()).isEqualTo(TrustRatio.ALWAYS);
        assertThat(c.trustRatio()).isCloseTo(0.17 / 20, Offset.offset(1e-15));
        assertThat(c.softTrust()).isTrue();
        assertThat(c.outputBound()).isTrue();
        assertThat(c.outputDecay()).isEqualTo(8);
        assertThat(c.decayMode()).isEqualTo(WeightDecay.TRUST);
        assertThat(c.weightDecay()).isEqualTo(0.3);
        assertThat(c.blockSize()).isEqualTo(128);
        assertThat(c.secondBlockSize()).isEqualTo(128);
        assertThat(c.statisticsSamples()).isEqualTo(256);
        assertThat(c.statisticsInterval()).isEqualTo(4);
        assertThat(c.inverseInterval()).isEqualTo(17);
        assertThat(c.rho()).isEqualTo(0.9);
        assertThat(c.nesterov()).isFalse();
        assertThat(c.averaging()).isTrue();
        assertThat(c.orthogonalise()).isFalse();
        assertThat(c.schedule()).isEqualTo(Schedule.cosine(350));
        LngdOptions r = LngdOptions.blockKroneckerFit(300).build();
        assertThat(r.trustRatio()).isCloseTo(0.2 / 20, Offset.offset(1e-15));
        assertThat(r.dampingFactor()).isEqualTo(0.15);
        assertThat(r.weightDecay()).isEqualTo(0.1);
        assertThat(r.nesterov()).isTrue();
        assertThat(r.averaging()).isFalse();
        assertThat(r.softTrust()).isFalse();
        assertThat(r.outputBound()).isFalse();
        assertThat(r.outputDecay()).isEqualTo(1);
        assertThat(r.secondDamping()).isEqualTo(1);
        assertThat(r.schedule()).isEqualTo(Schedule.linear(300));
        assertThat(r.reason()).isEmpty();
    }

    @Test
    void ngPlusIsARivalOfItsOwn() {
        LngdOptions options = LngdOptions.ngPlus().build();
        assertThat(options.approximation()).isEqualTo(Approximation.NGPLUS);
        assertThat(options.fisher()).isEqualTo(Fisher.PROVIDED);
        assertThat(options.damping()).isEqualTo(Damping.RELATIVE);
        assertThat(options.dampingFactor()).isEqualTo(1);
        assertThat(options.trustMode()).isEqualTo(TrustRatio.OFF);
        assertThat(options.learningRate()).isEqualTo(0.03);
        assertThat(options.averaging()).isFalse();
        assertThat(options.schedule()).isEqualTo(Schedule.constant(1));
    }

    @ParameterizedTest
    @EnumSource(names = {"KFAC", "TKFAC", "EKFAC"})
    void theRivalsArePresetsOfTheirOwn(Preset preset) {
        LngdOptions options = LngdOptions.preset(preset, 400).build();
        assertThat(options.approximation()).isEqualTo(Approximation.valueOf(preset.name()));
        assertThat(options.fisher()).isEqualTo(Fisher.PROVIDED);
        assertThat(options.damping()).isEqualTo(Damping.FACTORED);
        assertThat(options.dampingFactor()).isEqualTo(1e-2);
        assertThat(options.trustMode()).isEqualTo(TrustRatio.OFF);
        assertThat(options.layerRate()).isEqualTo(LayerRate.NONE);
        assertThat(options.learningRate()).isEqualTo(0.03);
        assertThat(options.momentum()).isEqualTo(0.9);
        assertThat(options.nesterov()).isFalse();
        assertThat(options.averaging()).isFalse();
        assertThat(options.blockSize()).isZero();
        assertThat(options.statisticsSamples()).isZero();
        assertThat(options.statisticsInterval()).isEqualTo(20);
        assertThat(options.inverseInterval()).isEqualTo(100);
        assertThat(options.rho()).isEqualTo(0.95);
        assertThat(options.weightDecay()).isZero();
        assertThat(options.schedule()).isEqualTo(Schedule.constant(1));
    }

    @ParameterizedTest
    @EnumSource(Preset.class)
    void everyValueReachesTheLibraryAsItWas(Preset preset) {
        LngdOptions options =
                LngdOptions.preset(preset, 100)
                        .momentum(0.625)
                        .seed(-5)
                        .rateSamples(3)
                        .device(Device.CUDA, 2)
                        .precision(Precision.BF16)
                        .directionPrecision(Precision.TF32)
                        .overlap(false)
                        .weightDecay(0.5, WeightDecay.COUPLED)
                        .approximation(Approximation.TKFAC)
                        .signalDamping(0.25, 0.125, 0.5)
                        .signalReference(0.75)
                        .secondDamping(2)
                        .dampingScope(DampingScope.LAYER)
                        .secondBlockSize(17)
                        .softTrust(true)
                        .outputBound(true)
                        .outputDecay(1.5)
                        .orthogonalise(true)
                        .gradientClipping(0.375)
                        .build();
        try (lngd_config config = new lngd_config()) {
            options.values.write(config);
            assertThat(config.momentum()).isEqualTo(0.625);
            assertThat(config.seed()).isEqualTo(-5);
            assertThat(config.rate_samples()).isEqualTo(3);
            assertThat(config.approximation()).isEqualTo(lngd.LNGD_APPROXIMATION_TKFAC);
            assertThat(config.damping()).isEqualTo(lngd.LNGD_DAMPING_SIGNAL);
            assertThat(config.damping_min()).isEqualTo(0.125);
            assertThat(config.damping_max()).isEqualTo(0.5);
            assertThat(config.signal_reference()).isEqualTo(0.75);
            assertThat(config.second_damping()).isEqualTo(2);
            assertThat(config.damping_scope()).isEqualTo(lngd.LNGD_DAMPING_SCOPE_LAYER);
            assertThat(config.second_block_size()).isEqualTo(17);
            assertThat(config.soft_trust()).isEqualTo(1);
            assertThat(config.output_bound()).isEqualTo(1);
            assertThat(config.output_decay()).isEqualTo(1.5);
            assertThat(config.orthogonalise()).isEqualTo(1);
            assertThat(config.gradient_clipping()).isEqualTo(0.375);
            assertThat(config.damping_factor()).isEqualTo(0.25);
            assertThat(config.device()).isEqualTo(lngd.LNGD_DEVICE_CUDA);
            assertThat(config.device_index()).isEqualTo(2);
            assertThat(config.precision()).isEqualTo(lngd.LNGD_PRECISION_BF16);
            assertThat(config.direction_precision()).isEqualTo(lngd.LNGD_PRECISION_TF32);
            assertThat(config.overlap()).isZero();
            assertThat(config.decay()).isEqualTo(lngd.LNGD_DECAY_COUPLED);
            assertThat(config.trust_ratio()).isEqualTo(options.trustRatio());
            assertThat(config.block_size()).isEqualTo(options.blockSize());
            assertThat(config.struct_size()).isEqualTo(config.sizeof());
        }
    }

    @Test
    void numbersOutOfRangeAreRefusedByName() {
        Map<String, DoubleSetter> setters = new LinkedHashMap<>();
        setters.put("gamma", LngdOptions.Builder::relativeDamping);
        setters.put("lambda", LngdOptions.Builder::factoredDamping);
        setters.put("dampingFloor", LngdOptions.Builder::dampingFloor);
        setters.put("min", (b, x) -> b.absoluteDamping(x, 1));
        setters.put("max", (b, x) -> b.absoluteDamping(0.5, x));
        setters.put("g", (b, x) -> b.signalDamping(x, 0.5, 1));
        setters.put("min ", (b, x) -> b.signalDamping(1, x, 1));
        setters.put("max ", (b, x) -> b.signalDamping(1, 0.5, x));
        setters.put("signalReference", LngdOptions.Builder::signalReference);
        setters.put("secondDamping", LngdOptions.Builder::secondDamping);
        setters.put("outputDecay", LngdOptions.Builder::outputDecay);
        setters.put("gradientClipping", LngdOptions.Builder::gradientClipping);
        setters.put("tau", (b, x) -> b.trustRatio(TrustRatio.CAP, x));
        setters.put("slope", LngdOptions.Builder::trustDepthSlope);
        setters.put("mu", LngdOptions.Builder::mu);
        setters.put("learningRate", LngdOptions.Builder::learningRate);
        setters.put("momentum", LngdOptions.Builder::momentum);
        setters.put("decay", (b, x) -> b.weightDecay(x, WeightDecay.DECOUPLED));
        setters.put("rho", LngdOptions.Builder::rho);
        setters.put("averagingWindow", LngdOptions.Builder::averagingWindow);
        LngdOptions before = LngdOptions.recipe(10).build();
        setters.forEach(
                (name, setter) -> {
                    for (double x :
                            new double[] {
                                Double.NaN, -1, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY
                            }) {
                        LngdOptions.Builder builder = LngdOptions.recipe(10);
                        assertThatThrownBy(() -> setter.accept(builder, x))
                                .isInstanceOf(LngdArgumentException.class)
                                .hasMessageContaining(name)
                                .hasMessageContaining(Double.toString(x))
                                .hasMessageContaining("allowed");
                        assertThat(builder.build()).isEqualTo(before);
                    }
                });
        assertThatThrownBy(() -> LngdOptions.recipe(10).learningRate(1e7))
                .hasMessageContaining("1000000.0");
        assertThatThrownBy(() -> LngdOptions.recipe(10).momentum(1)).hasMessageContaining("[0, 1)");
        assertThatThrownBy(() -> LngdOptions.recipe(10).secondDamping(0))
                .hasMessageContainingAll("secondDamping", "0.0");
        assertThatThrownBy(() -> LngdOptions.recipe(10).learningRate(0))
                .hasMessageContaining("learningRate");
    }

    @Test
    void countsOutOfRangeAreRefusedByName() {
        Map<String, IntSetter> setters = new LinkedHashMap<>();
        setters.put("threads", LngdOptions.Builder::threads);
        setters.put("index", (b, i) -> b.device(Device.CUDA, i));
        setters.put("rateSamples", LngdOptions.Builder::rateSamples);
        setters.put("secondBlockSize", LngdOptions.Builder::secondBlockSize);
        setters.put("blockSize", LngdOptions.Builder::blockSize);
        setters.put("statisticsSamples", LngdOptions.Builder::statisticsSamples);
        setters.put("statisticsInterval", LngdOptions.Builder::statisticsInterval);
        setters.put("inverseInterval", LngdOptions.Builder::inverseInterval);
        setters.forEach(
                (name, setter) ->
                        assertThatThrownBy(() -> setter.accept(LngdOptions.recipe(10), -1))
                                .isInstanceOf(LngdArgumentException.class)
                                .hasMessageContainingAll(name, "-1", "allowed"));
        assertThatThrownBy(() -> LngdOptions.recipe(10).statisticsInterval(0))
                .hasMessageContaining("1 or more");
        assertThatThrownBy(() -> LngdOptions.recipe(-1))
                .hasMessageContainingAll("totalSteps", "-1");
    }

    @Test
    void nullsAreRefused() {
        LngdOptions.Builder b = LngdOptions.recipe(10);
        assertThatThrownBy(() -> b.device(null)).hasMessageContaining("device");
        assertThatThrownBy(() -> b.device(null, 0)).hasMessageContaining("device");
        assertThatThrownBy(() -> b.precision(null)).hasMessageContaining("precision");
        for (Precision refused : new Precision[] {null, Precision.BF16, Precision.FP32}) {
            assertThatThrownBy(() -> b.directionPrecision(refused))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("directionPrecision");
        }
        assertThatThrownBy(() -> b.fisher(null)).hasMessageContaining("fisher");
        assertThatThrownBy(() -> b.damping(null)).hasMessageContaining("damping");
        assertThatThrownBy(() -> b.dampingScope(null)).hasMessageContaining("dampingScope");
        assertThatThrownBy(() -> b.layerRate(null)).hasMessageContaining("layerRate");
        assertThatThrownBy(() -> b.trustRatio(null, 0.1)).hasMessageContaining("mode");
        assertThatThrownBy(() -> b.weightDecay(0.1, null)).hasMessageContaining("mode");
        assertThatThrownBy(() -> b.schedule(null)).hasMessageContaining("schedule");
        assertThatThrownBy(() -> LngdOptions.preset(null, 1)).hasMessageContaining("preset");
        assertThat(b.build()).isEqualTo(LngdOptions.recipe(10).build());
    }

    @Test
    void anUnknownLengthAsksForATrustRatio() {
        assertThatThrownBy(() -> LngdOptions.recipe(0).build())
                .hasMessageContainingAll("trustRatio", "steps");
        assertThat(LngdOptions.recipe(0).trustRatio(TrustRatio.ALWAYS, 0.01).build().schedule())
                .isEqualTo(Schedule.constant(1));
        assertThat(LngdOptions.recipe(0).trustRatio(TrustRatio.OFF, 0).build().trustMode())
                .isEqualTo(TrustRatio.OFF);
    }

    @Test
    void optionsAreCopies() {
        LngdOptions.Builder builder = LngdOptions.recipe(10);
        LngdOptions first = builder.build();
        LngdOptions second = builder.momentum(0.5).build();
        assertThat(first.momentum()).isEqualTo(0.9);
        assertThat(second.momentum()).isEqualTo(0.5);
        assertThat(second).isNotEqualTo(first);
        assertThat(second.toBuilder().momentum(0.9).build())
                .isEqualTo(first)
                .hasSameHashCodeAs(first);
    }

    @Test
    void theTextShowsEverything() {
        LngdOptions options = LngdOptions.recipe(10).build();
        String text = options.toString();
        options.asMap().forEach((name, value) -> assertThat(text).contains(name + "=" + value));
        assertThat(options.asMap()).hasSize(47);
        assertThat(text).contains("schedule=cosine(10)");
    }
}
