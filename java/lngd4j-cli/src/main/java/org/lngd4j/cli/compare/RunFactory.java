// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.data.BatchFiller;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TuningAxis;

/** Makes the runs of a comparison from a contender and a point of its grid. */
final class RunFactory {
    // Tuning has a seed of its own, beyond all that --seeds can reach: the seeds that are reported
    // have
    // chosen nothing.
    private static final long TUNING_SEED = 1_000_003;
    private static final int VALIDATION_SHARE = 10;

    private final CompareSettings settings;
    private final int samples;
    private final boolean holdsOut;

    /**
     * @param samples of the training set
     */
    RunFactory(CompareSettings settings, int samples) {
        this(settings, samples, true);
    }

    /**
     * @param samples of the training set
     * @param holdsOut whether a short run is measured on samples that are taken from the training
     *     set; false: the data have a validation set
     */
    RunFactory(CompareSettings settings, int samples, boolean holdsOut) {
        this.settings = settings;
        this.samples = settings.trainSamples() == null ? samples : settings.trainSamples();
        this.holdsOut = holdsOut;
    }

    /**
     * A short run that is measured on the last tenth of the training set, or on the validation set.
     */
    PlannedRun tuningRun(Contender contender, List<Integer> point) {
        int validation = Math.max(1, samples / VALIDATION_SHARE);
        int epochs = settings.tuning().epochs();
        Map<String, Object> map = common(contender, epochs, TUNING_SEED);
        map.put("eval-every", 1.0);
        map.put("validation", validation);
        map.putAll(values(contender, point, tuningSteps()));
        return new PlannedRun(label(contender, point, "tuning"), TrainSettings.of(map));
    }

    /** A whole run that is measured on the test set. */
    PlannedRun wholeRun(Contender contender, List<Integer> point, int seed) {
        Map<String, Object> map = common(contender, settings.epochs(), seed);
        map.putAll(values(contender, point, steps(samples, settings.epochs())));
        return new PlannedRun(label(contender, point, "seed " + seed), TrainSettings.of(map));
    }

    long tuningSteps() {
        int kept = holdsOut ? samples - Math.max(1, samples / VALIDATION_SHARE) : samples;
        return steps(kept, settings.tuning().epochs());
    }

    long wholeSteps() {
        return steps(samples, settings.epochs());
    }

    private long steps(int images, int epochs) {
        return (long) epochs * BatchFiller.count(images, settings.batch());
    }

    private Map<String, Object> common(Contender contender, int epochs, long seed) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("data", settings.data());
        map.put("model", settings.model());
        map.put("engine", settings.engine());
        map.put("optimizer", contender.kind().toString());
        map.put("epochs", epochs);
        map.put("batch", settings.batch());
        map.put("seed", seed);
        map.put("device", "auto");
        map.put("threads", settings.threads());
        map.put("eval-every", settings.evalEvery());
        map.put("train-samples", settings.trainSamples());
        map.put("augment", settings.augment());
        map.put("warmup", settings.warmup());
        map.putAll(settings.text().toMap());
        map.putAll(contender.options());
        return map;
    }

    // At its start an axis is left to the optimizer: its default may be finer than the grid (a
    // preset
    // may have a law or a damping of its own).
    private static Map<String, Object> values(
            Contender contender, List<Integer> point, long totalSteps) {
        Map<String, Object> values = new LinkedHashMap<>();
        List<TuningAxis> axes = contender.axes();
        for (int i = 0; i < axes.size(); i++) {
            TuningAxis axis = axes.get(i);
            if (axis.grid().get(point.get(i)) != axis.start()) {
                values.put(axis.option(), axis.value(point.get(i), totalSteps));
            }
        }
        return values;
    }

    private static String label(Contender contender, List<Integer> point, String which) {
        return contender.name() + " " + describe(contender, point) + ", " + which;
    }

    /** The point for people, for example {@code learning-rate 0.1}. */
    static String describe(Contender contender, List<Integer> point) {
        StringBuilder text = new StringBuilder();
        List<TuningAxis> axes = contender.axes();
        for (int i = 0; i < axes.size(); i++) {
            TuningAxis axis = axes.get(i);
            double value = axis.grid().get(point.get(i));
            text.append(i == 0 ? "" : " ").append(axis.option()).append(' ');
            // The grid's start is a preset's default only for the first of the presets.
            if (value == axis.start() && contender.options().containsKey("preset")) {
                text.append("default");
            } else {
                text.append(String.format(Locale.ROOT, "%s", value));
                text.append(axis.unit() == TuningAxis.Unit.PLAIN ? "" : "/sqrt(steps)");
            }
        }
        return text.toString();
    }
}
