// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.config;
import static org.lngd4j.nativelib.Abi.invalid;
import static org.lngd4j.nativelib.Abi.layer;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;
import org.lngd4j.nativelib.global.lngd_optimizer;

/** lngd_config_init, lngd_layer_init, and what lngd_create makes of bad values. */
@Tag(TestDevice.TAG)
class ConfigTest {
    private static final Map<String, BiConsumer<lngd_config, Integer>> ENUMS =
            Map.ofEntries(
                    Map.entry("device", lngd_config::device),
                    Map.entry("fisher", lngd_config::fisher),
                    Map.entry("damping", lngd_config::damping),
                    Map.entry("damping_scope", lngd_config::damping_scope),
                    Map.entry("trust", lngd_config::trust),
                    Map.entry("soft_trust", lngd_config::soft_trust),
                    Map.entry("output_bound", lngd_config::output_bound),
                    Map.entry("rate", lngd_config::rate),
                    Map.entry("decay", lngd_config::decay),
                    Map.entry("nesterov", lngd_config::nesterov),
                    Map.entry("averaging", lngd_config::averaging),
                    Map.entry("orthogonalise", lngd_config::orthogonalise));

    private static final Map<String, BiConsumer<lngd_config, Integer>> COUNTS =
            Map.of(
                    "threads", lngd_config::threads,
                    "block_size", lngd_config::block_size,
                    "second_block_size", lngd_config::second_block_size,
                    "statistics_samples", lngd_config::statistics_samples,
                    "rate_samples", lngd_config::rate_samples,
                    "statistics_interval", lngd_config::statistics_interval,
                    "inverse_interval", lngd_config::inverse_interval);

    /** Setter and a finite value that is out of range. */
    private static final Map<String, Map.Entry<BiConsumer<lngd_config, Double>, Double>> NUMBERS =
            new LinkedHashMap<>();

    static {
        NUMBERS.put("learning_rate", Map.entry(lngd_config::learning_rate, 0.0));
        NUMBERS.put("momentum", Map.entry(lngd_config::momentum, 1.0));
        NUMBERS.put("weight_decay", Map.entry(lngd_config::weight_decay, -1e-9));
        NUMBERS.put("damping_factor", Map.entry(lngd_config::damping_factor, -1.0));
        NUMBERS.put("damping_floor", Map.entry(lngd_config::damping_floor, 0.0));
        NUMBERS.put("damping_min", Map.entry(lngd_config::damping_min, 0.0));
        NUMBERS.put("damping_max", Map.entry(lngd_config::damping_max, 0.0));
        NUMBERS.put("output_decay", Map.entry(lngd_config::output_decay, -0.5));
        NUMBERS.put("second_damping", Map.entry(lngd_config::second_damping, 0.0));
        NUMBERS.put("signal_reference", Map.entry(lngd_config::signal_reference, -1e-9));
        NUMBERS.put("rho", Map.entry(lngd_config::rho, 1.0));
        NUMBERS.put("mu", Map.entry(lngd_config::mu, 0.0));
        NUMBERS.put("trust_ratio", Map.entry(lngd_config::trust_ratio, 0.0));
        NUMBERS.put("trust_depth_slope", Map.entry(lngd_config::trust_depth_slope, 0.0));
        NUMBERS.put("gradient_clipping", Map.entry(lngd_config::gradient_clipping, -1e-9));
        NUMBERS.put("averaging_window", Map.entry(lngd_config::averaging_window, 0.0));
    }

    @Test
    void presetsHaveTheValuesOfTheRecipe() {
        lngd_config recipe = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_RECIPE, 400, recipe));
        assertThat(recipe.struct_size()).isEqualTo(recipe.sizeof());
        assertThat(recipe.trust_ratio()).isCloseTo(0.17 / 20, Offset.offset(1e-15));
        assertThat(recipe.block_size()).isEqualTo(128);
        assertThat(recipe.statistics_samples()).isEqualTo(64);
        assertThat(recipe.statistics_interval()).isEqualTo(20);
        assertThat(recipe.inverse_interval()).isEqualTo(100);
        assertThat(recipe.rho()).isEqualTo(0.8);
        assertThat(recipe.averaging()).isEqualTo(1);
        lngd_config paper = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_PAPER, 0, paper));
        assertThat(paper.fisher()).isEqualTo(lngd.LNGD_FISHER_SAMPLED);
        assertThat(paper.damping()).isEqualTo(lngd.LNGD_DAMPING_ABSOLUTE);
        assertThat(paper.rate()).isEqualTo(lngd.LNGD_RATE_EMPIRICAL);
        assertThat(paper.trust()).isEqualTo(lngd.LNGD_TRUST_OFF);
        assertThat(paper.rho()).isEqualTo(0.95);
        assertThat(paper.block_size()).isZero();
    }

    @Test
    void blockKroneckerFollowsTheLengthOfTheRun() {
        lngd_config classifier = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_BLOCK_KRONECKER, 350, classifier));
        assertThat(classifier.approximation()).isEqualTo(lngd.LNGD_APPROXIMATION_KFAC);
        assertThat(classifier.damping()).isEqualTo(lngd.LNGD_DAMPING_SIGNAL);
        assertThat(classifier.decay()).isEqualTo(lngd.LNGD_DECAY_TRUST);
        assertThat(classifier.second_block_size()).isEqualTo(128);
        assertThat(classifier.trust_ratio()).isCloseTo(0.17 / 20, Offset.offset(1e-15));
        assertThat(classifier.statistics_interval()).isEqualTo(4);
        assertThat(classifier.inverse_interval()).isEqualTo(17);
        assertThat(classifier.soft_trust()).isEqualTo(1);
        assertThat(classifier.output_bound()).isEqualTo(1);
        assertThat(classifier.output_decay()).isEqualTo(8);
        assertThat(classifier.second_damping()).isEqualTo(3);
        lngd_config fit = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_BLOCK_KRONECKER_FIT, 300, fit));
        assertThat(fit.trust_ratio()).isCloseTo(0.2 / 20, Offset.offset(1e-15));
        assertThat(fit.nesterov()).isEqualTo(1);
        assertThat(fit.averaging()).isZero();
        assertThat(fit.soft_trust()).isZero();
        assertThat(fit.output_decay()).isEqualTo(1);
        lngd_config rival = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_NGPLUS, 0, rival));
        assertThat(rival.approximation()).isEqualTo(lngd.LNGD_APPROXIMATION_NGPLUS);
        assertThat(rival.damping()).isEqualTo(lngd.LNGD_DAMPING_RELATIVE);
    }

    @Test
    void whatDoesNotGoTogetherIsRefused() {
        lngd_config recipe = config(lngd.LNGD_PRESET_RECIPE);
        invalid(create(recipe.second_block_size(8), layer()), "second_block_size", "8");
        recipe = config(lngd.LNGD_PRESET_RECIPE).damping(lngd.LNGD_DAMPING_SIGNAL);
        invalid(create(recipe, layer()), "damping", "SIGNAL");
        recipe = config(lngd.LNGD_PRESET_RECIPE).orthogonalise(1);
        invalid(create(recipe, layer()), "orthogonalise");
        lngd_config kfac = config(lngd.LNGD_PRESET_KFAC);
        invalid(create(kfac.decay(lngd.LNGD_DECAY_TRUST), layer()), "decay", "TRUST");
        invalid(create(config(lngd.LNGD_PRESET_KFAC).soft_trust(1), layer()), "soft_trust");
        invalid(create(config(lngd.LNGD_PRESET_KFAC).output_bound(1), layer()), "output_bound");
        lngd_config rival = config(lngd.LNGD_PRESET_NGPLUS);
        invalid(create(rival.fisher(lngd.LNGD_FISHER_EXPECTED), layer()), "fisher");
    }

    @Test
    void badArgumentsOfInitAreRefused() {
        invalid(lngd.lngd_config_init(-1, 10, new lngd_config()), "preset", "-1");
        invalid(lngd.lngd_config_init(10, 10, new lngd_config()), "preset", "10");
        invalid(lngd.lngd_config_init(0, -1, new lngd_config()), "total_steps", "-1");
        invalid(lngd.lngd_config_init(0, 10, null), "config");
        invalid(lngd.lngd_layer_init(0, 3, new lngd_layer_config()), "inputs", "0");
        invalid(lngd.lngd_layer_init(5, -7, new lngd_layer_config()), "outputs", "-7");
        invalid(lngd.lngd_layer_init((1L << 24) + 1, 3, new lngd_layer_config()), "inputs");
        invalid(lngd.lngd_layer_init(5, Long.MAX_VALUE, new lngd_layer_config()), "outputs");
        invalid(lngd.lngd_layer_init(5, 3, null), "layer");
    }

    @Test
    void enumsOutOfRangeAreRefused() {
        ENUMS.forEach(
                (name, setter) -> {
                    for (int value : new int[] {-1, 4, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
                        lngd_config config = config(lngd.LNGD_PRESET_RECIPE);
                        setter.accept(config, value);
                        invalid(create(config, layer()), name, Integer.toString(value));
                    }
                });
    }

    @Test
    void negativeCountsAreRefused() {
        COUNTS.forEach(
                (name, setter) -> {
                    for (int value : new int[] {-1, Integer.MIN_VALUE}) {
                        lngd_config config = config(lngd.LNGD_PRESET_RECIPE);
                        setter.accept(config, value);
                        invalid(create(config, layer()), name, Integer.toString(value));
                    }
                });
    }

    @Test
    void numbersOutOfRangeAreRefused() {
        NUMBERS.forEach(
                (name, entry) -> {
                    for (double value :
                            new double[] {
                                Double.NaN,
                                Double.POSITIVE_INFINITY,
                                Double.NEGATIVE_INFINITY,
                                -1,
                                entry.getValue()
                            }) {
                        lngd_config config = config(lngd.LNGD_PRESET_RECIPE);
                        entry.getKey().accept(config, value);
                        invalid(create(config, layer()), name);
                    }
                });
    }

    @Test
    void boundsOfDampingMustBeInOrder() {
        lngd_config config = config(lngd.LNGD_PRESET_PAPER).damping_min(1e-2).damping_max(1e-3);
        invalid(create(config, layer()), "damping_max");
    }

    @Test
    void aTrustRatioIsAskedForWhereTheStepsAreNotKnown() {
        lngd_config config = new lngd_config();
        ok(lngd.lngd_config_init(lngd.LNGD_PRESET_RECIPE, 0, config));
        invalid(create(config, layer()), "trust_ratio");
        ok(create(config.trust_ratio(0.01), layer()));
    }

    @Test
    void wrongStructSizesAreRefused() {
        for (int size : new int[] {0, 4, 1 << 20, -1}) {
            invalid(create(config(0).struct_size(size), layer()), "struct_size");
            invalid(create(config(0), layer().struct_size(size)), "struct_size");
        }
    }

    @Test
    void badLayersAreRefused() {
        invalid(create(config(0), layer().kind(9)), "kind");
        invalid(create(config(0), layer().inputs(0)), "inputs");
        invalid(create(config(0), layer().outputs(-3)), "outputs");
        invalid(create(config(0), layer().bias(2)), "bias");
        invalid(create(config(0), layer().activation(9)), "activation");
        invalid(create(config(0), layer().activation(-1)), "activation");
        invalid(create(config(0), layer().output(5)), "output");
        invalid(create(config(0), layer().fisher(3)), "fisher");
        invalid(create(config(0), layer().fisher(-2)), "fisher");
        // A softmax is the link function itself: RELU cannot come before it.
        invalid(create(config(0), layer().output(lngd.LNGD_OUTPUT_SOFTMAX)), "activation");
        lngd_layer_config leaky = layer().activation(lngd.LNGD_ACTIVATION_LEAKY_RELU);
        invalid(create(config(0), leaky.activation_parameter(1.5)), "activation_parameter");
        invalid(create(config(0), leaky.activation_parameter(Double.NaN)), "activation_parameter");
        lngd_layer_config elu = layer().activation(lngd.LNGD_ACTIVATION_ELU);
        invalid(create(config(0), elu.activation_parameter(0)), "activation_parameter");
    }

    @Test
    void badArgumentsOfCreateAreRefused() {
        lngd_optimizer out = new lngd_optimizer();
        invalid(lngd.lngd_create(null, layer(), 1, out), "config");
        invalid(lngd.lngd_create(config(0), null, 1, out), "layers");
        invalid(lngd.lngd_create(config(0), layer(), 0, out), "count", "0");
        invalid(lngd.lngd_create(config(0), layer(), -5, out), "count", "-5");
        invalid(lngd.lngd_create(config(0), layer(), 1, (lngd_optimizer) null), "out");
        assertThat(out.isNull()).isTrue();
    }

    @Test
    void aFactorTooLargeForTheMachineIsOutOfMemoryOrRefused() {
        lngd_config config = config(0).block_size(0);
        lngd_layer_config layer = layer().inputs(1 << 24).outputs(1 << 24);
        int status = create(config, layer);
        assertThat(status).isIn(lngd.LNGD_OUT_OF_MEMORY, lngd.LNGD_INVALID_ARGUMENT);
    }

    private static int create(lngd_config config, lngd_layer_config layer) {
        lngd_optimizer out = new lngd_optimizer();
        int status = lngd.lngd_create(config, layer, 1, out);
        if (status == lngd.LNGD_OK) {
            lngd.lngd_destroy(out);
        }
        return status;
    }
}
