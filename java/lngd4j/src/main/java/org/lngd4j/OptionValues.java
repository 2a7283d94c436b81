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
    TrustRatio trustMode;
    double trustRatio;
    double trustDepthSlope;
    LayerRate layerRate;
    int rateSamples;
    double mu;
    double learningRate;
    double momentum;
    boolean nesterov;
    WeightDecay decayMode;
    double weightDecay;
    int blockSize;
    int statisticsSamples;
    int statisticsInterval;
    int inverseInterval;
    double rho;
    boolean averaging;
    double averagingWindow;
    long seed;
    Schedule schedule;
    Schedule dampingSchedule;
    Schedule statisticsIntervalSchedule;
    Schedule inverseIntervalSchedule;

    static OptionValues of(Preset preset, long totalSteps) {
        Check.notNull("preset", preset);
        Check.atLeast("totalSteps", totalSteps, 0L);
        NativeLibrary.load();
        OptionValues values = new OptionValues();
        try (lngd_config config = new lngd_config()) {
            Status.check(lngd.lngd_config_init(preset.code(), totalSteps, config));
            values.read(config);
        }
        values.preset = preset;
        values.totalSteps = totalSteps;
        values.schedule = defaultSchedule(preset, totalSteps);
        return values;
    }

    private static Schedule defaultSchedule(Preset preset, long totalSteps) {
        if (totalSteps == 0) {
            return Schedule.constant(1);
        }
        return switch (preset) {
            case RECIPE, RECIPE_EMPIRICAL -> Schedule.cosine(totalSteps);
            case RECIPE_FIT -> Schedule.linear(totalSteps);
            case PAPER, KFAC, TKFAC, EKFAC -> Schedule.constant(1);
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
        trustMode = Codes.of(TrustRatio.values(), TrustRatio::code, c.trust());
        trustRatio = c.trust_ratio();
        trustDepthSlope = c.trust_depth_slope();
        layerRate = Codes.of(LayerRate.values(), LayerRate::code, c.rate());
        rateSamples = c.rate_samples();
        mu = c.mu();
        learningRate = c.learning_rate();
        momentum = c.momentum();
        nesterov = c.nesterov() != 0;
        decayMode = Codes.of(WeightDecay.values(), WeightDecay::code, c.decay());
        weightDecay = c.weight_decay();
        blockSize = c.block_size();
        statisticsSamples = c.statistics_samples();
        statisticsInterval = c.statistics_interval();
        inverseInterval = c.inverse_interval();
        rho = c.rho();
        averaging = c.averaging() != 0;
        averagingWindow = c.averaging_window();
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
                .damping_max(dampingMax);
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
        m.put("trustMode", trustMode);
        m.put("trustRatio", trustRatio);
        m.put("trustDepthSlope", trustDepthSlope);
        m.put("layerRate", layerRate);
        m.put("rateSamples", rateSamples);
        m.put("mu", mu);
        m.put("learningRate", learningRate);
        m.put("momentum", momentum);
        m.put("nesterov", nesterov);
        m.put("decayMode", decayMode);
        m.put("weightDecay", weightDecay);
        m.put("blockSize", blockSize);
        m.put("statisticsSamples", statisticsSamples);
        m.put("statisticsInterval", statisticsInterval);
        m.put("inverseInterval", inverseInterval);
        m.put("rho", rho);
        m.put("averaging", averaging);
        m.put("averagingWindow", averagingWindow);
        m.put("seed", seed);
        m.put("schedule", schedule);
        m.put("dampingSchedule", dampingSchedule);
        m.put("statisticsIntervalSchedule", statisticsIntervalSchedule);
        m.put("inverseIntervalSchedule", inverseIntervalSchedule);
        return m;
    }
}
