// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * Settings that follow a schedule: each is set only where its value has changed, since setting
 * costs a native call.
 */
final class ScheduledSettings {
    private final LngdOptions options;
    private double damping = Double.NaN;
    private double statisticsInterval = Double.NaN;
    private double inverseInterval = Double.NaN;

    ScheduledSettings(LngdOptions options) {
        this.options = options;
    }

    double apply(LngdOptimizer optimizer, long step, int epoch) {
        if (options.dampingSchedule() != null) {
            double value = options.dampingFactor() * options.dampingSchedule().at(step, epoch);
            if (value != damping) {
                optimizer.set(Setting.DAMPING_FACTOR, value);
                damping = value;
            }
        }
        if (options.statisticsIntervalSchedule() != null) {
            double value = Math.rint(options.statisticsIntervalSchedule().at(step, epoch));
            if (value != statisticsInterval) {
                optimizer.set(Setting.STATISTICS_INTERVAL, value);
                statisticsInterval = value;
            }
        }
        if (options.inverseIntervalSchedule() != null) {
            double value = Math.rint(options.inverseIntervalSchedule().at(step, epoch));
            if (value != inverseInterval) {
                optimizer.set(Setting.INVERSE_INTERVAL, value);
                inverseInterval = value;
            }
        }
        return options.schedule().at(step, epoch);
    }
}
