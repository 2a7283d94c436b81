// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.LinkedHashMap;
import java.util.Map;
import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;

/**
 * The values behind {@link LngdOptions} and its builder: plain fields, copied when one becomes the
 * other. The defaults are asked of the native library, so that a preset is written down in one
 * place only.
 */
final class OptionValues implements Cloneable {
    Preset preset;
    long totalSteps;
    Device device;
    int deviceIndex;
    Precision precision;
    Precision directionPrecision;
    boolean overlap;
    int threads;
    Approximation approximation;
    Fisher fisher;
    Damping damping;
    double dampingFactor;
    double dampingFloor;
    double dampingMin;
    double dampingMax;
    DampingScope dampingScope;
    double secondDamping;
    double signalReference;
    TrustRatio trustMode;
    double trustRatio;
    double trustDepthSlope;
    boolean softTrust;
    boolean outputBound;
    LayerRate layerRate;
    int rateSamples;
    double mu;
    double learningRate;
    double momentum;
    boolean nesterov;
    WeightDecay decayMode;
    double weightDecay;
    double outputDecay;
    int blockSize;
    int secondBlockSize;
    int statisticsSamples;
    int statisticsInterval;
    int inverseInterval;
    double rho;
    boolean averaging;
    double averagingWindow;
    boolean orthogonalise;
    double gradientClipping;
    long seed;
    Schedule schedule;
    Schedule dampingSchedule;
    Schedule statisticsIntervalSchedule;
    Schedule inverseIntervalSchedule;

    /** Why these options were recommended; "" for a preset that was asked for. */
    String reason = "";

    static OptionValues of(Preset preset, long totalSteps) {
        Check.notNull("preset", preset);
        Check.atLeast("totalSteps", totalSteps, 0L);
        NativeLibrary.load();
        OptionValues values = new OptionValues();
        try (lngd_config config = new lngd_config()) {
            Status.check(lngd.lngd_config_init(preset.code(), totalSteps, config));
            values.start(preset, totalSteps, config);
        }
        return values;
    }

    /** What lngd_recommend has written. */
    static OptionValues recommended(lngd_config config, long totalSteps, String reason) {
        OptionValues values = new OptionValues();
        values.start(recommendedPreset(config), totalSteps, config);
        values.reason = reason;
        return values;
    }

    // A configuration does not tell its preset. These two fields are what lngd_recommend leaves as
    // the three presets that it chooses from have them.
    private static Preset recommendedPreset(lngd_config config) {
        if (config.approximation() == lngd.LNGD_APPROXIMATION_LNGD) {
            return Preset.RECIPE;
        }
        return config.averaging() != 0 ? Preset.BLOCK_KRONECKER : Preset.BLOCK_KRONECKER_FIT;
    }

    private void start(Preset from, long steps, lngd_config config) {
        read(config);
        preset = from;
        totalSteps = steps;
        schedule = defaultSchedule(from, steps);
    }

    private static Schedule defaultSchedule(Preset preset, long totalSteps) {
        if (totalSteps == 0) {
            return Schedule.constant(1);
        }
        return switch (preset) {
            case RECIPE, RECIPE_EMPIRICAL, BLOCK_KRONECKER -> Schedule.cosine(totalSteps);
            case RECIPE_FIT, BLOCK_KRONECKER_FIT -> Schedule.linear(totalSteps);
            case PAPER, KFAC, TKFAC, EKFAC, NGPLUS -> Schedule.constant(1);
        };
    }

    private void read(lngd_config c) {
        device = Codes.of(Device.values(), Device::code, c.device());
        deviceIndex = c.device_index();
        precision = Codes.of(Precision.values(), Precision::code, c.precision());
        directionPrecision = Codes.of(Precision.values(), Precision::code, c.direction_precision());
        overlap = c.overlap() != 0;
        threads = c.threads();
        approximation = Codes.of(Approximation.values(), Approximation::code, c.approximation());
        fisher = Codes.of(Fisher.values(), Fisher::code, c.fisher());
        damping = Codes.of(Damping.values(), Damping::code, c.damping());
        dampingFactor = c.damping_factor();
        dampingFloor = c.damping_floor();
        dampingMin = c.damping_min();
        dampingMax = c.damping_max();
        dampingScope = Codes.of(DampingScope.values(), DampingScope::code, c.damping_scope());
        secondDamping = c.second_damping();
        signalReference = c.signal_reference();
        trustMode = Codes.of(TrustRatio.values(), TrustRatio::code, c.trust());
        trustRatio = c.trust_ratio();
        trustDepthSlope = c.trust_depth_slope();
        softTrust = c.soft_trust() != 0;
        outputBound = c.output_bound() != 0;
        layerRate = Codes.of(LayerRate.values(), LayerRate::code, c.rate());
        rateSamples = c.rate_samples();
        mu = c.mu();
        learningRate = c.learning_rate();
        momentum = c.momentum();
        nesterov = c.nesterov() != 0;
        decayMode = Codes.of(WeightDecay.values(), WeightDecay::code, c.decay());
        weightDecay = c.weight_decay();
        outputDecay = c.output_decay();
        blockSize = c.block_size();
        secondBlockSize = c.second_block_size();
        statisticsSamples = c.statistics_samples();
        statisticsInterval = c.statistics_interval();
        inverseInterval = c.inverse_interval();
        rho = c.rho();
        averaging = c.averaging() != 0;
        averagingWindow = c.averaging_window();
        orthogonalise = c.orthogonalise() != 0;
        gradientClipping = c.gradient_clipping();
        seed = c.seed();
    }

    /**
     * Writes the values over the defaults of their preset in {@code c}, which the native library
     * has made.
     */
    void write(lngd_config c) {
        Status.check(lngd.lngd_config_init(preset.code(), totalSteps, c));
        c.device(device.code()).threads(threads).fisher(fisher.code()).damping(damping.code());
        c.device_index(deviceIndex).precision(precision.code()).overlap(overlap ? 1 : 0);
        c.approximation(approximation.code()).direction_precision(directionPrecision.code());
        c.damping_factor(dampingFactor)
                .damping_floor(dampingFloor)
                .damping_min(dampingMin)
                .damping_max(dampingMax)
                .damping_scope(dampingScope.code())
                .second_damping(secondDamping)
                .signal_reference(signalReference);
        c.second_block_size(secondBlockSize).output_decay(outputDecay);
        c.soft_trust(softTrust ? 1 : 0).output_bound(outputBound ? 1 : 0);
        c.orthogonalise(orthogonalise ? 1 : 0).gradient_clipping(gradientClipping);
        c.trust(trustMode.code()).trust_ratio(trustRatio).trust_depth_slope(trustDepthSlope);
        c.rate(layerRate.code()).rate_samples(rateSamples).mu(mu);
        c.learning_rate(learningRate).momentum(momentum).nesterov(nesterov ? 1 : 0);
        c.decay(decayMode.code()).weight_decay(weightDecay).block_size(blockSize);
        c.statistics_samples(statisticsSamples).statistics_interval(statisticsInterval);
        c.inverse_interval(inverseInterval).rho(rho).averaging(averaging ? 1 : 0);
        c.averaging_window(averagingWindow).seed(seed);
    }

    OptionValues copy() {
        try {
            return (OptionValues) clone();
        } catch (CloneNotSupportedException e) {
            throw new AssertionError(e);
        }
    }

    /** All values by name, in the order of this file. */
    Map<String, Object> map() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("preset", preset);
        m.put("totalSteps", totalSteps);
        m.put("device", device);
        m.put("deviceIndex", deviceIndex);
        m.put("precision", precision);
        m.put("directionPrecision", directionPrecision);
        m.put("overlap", overlap);
        m.put("threads", threads);
        m.put("approximation", approximation);
        m.put("fisher", fisher);
        m.put("damping", damping);
        m.put("dampingFactor", dampingFactor);
        m.put("dampingFloor", dampingFloor);
        m.put("dampingMin", dampingMin);
        m.put("dampingMax", dampingMax);
        m.put("dampingScope", dampingScope);
        m.put("secondDamping", secondDamping);
        m.put("signalReference", signalReference);
        m.put("trustMode", trustMode);
        m.put("trustRatio", trustRatio);
        m.put("trustDepthSlope", trustDepthSlope);
        m.put("softTrust", softTrust);
        m.put("outputBound", outputBound);
        m.put("layerRate", layerRate);
        m.put("rateSamples", rateSamples);
        m.put("mu", mu);
        m.put("learningRate", learningRate);
        m.put("momentum", momentum);
        m.put("nesterov", nesterov);
        m.put("decayMode", decayMode);
        m.put("weightDecay", weightDecay);
        m.put("outputDecay", outputDecay);
        m.put("blockSize", blockSize);
        m.put("secondBlockSize", secondBlockSize);
        m.put("statisticsSamples", statisticsSamples);
        m.put("statisticsInterval", statisticsInterval);
        m.put("inverseInterval", inverseInterval);
        m.put("rho", rho);
        m.put("averaging", averaging);
        m.put("averagingWindow", averagingWindow);
        m.put("orthogonalise", orthogonalise);
        m.put("gradientClipping", gradientClipping);
        m.put("seed", seed);
        m.put("schedule", schedule);
        m.put("dampingSchedule", dampingSchedule);
        m.put("statisticsIntervalSchedule", statisticsIntervalSchedule);
        m.put("inverseIntervalSchedule", inverseIntervalSchedule);
        return m;
    }
}
