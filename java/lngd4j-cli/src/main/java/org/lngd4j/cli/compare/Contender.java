// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.ModelCatalog;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TuningAxis;

/**
 * One row of the comparison: an optimizer, and what was said about it behind slashes.
 *
 * @param name as the user wrote it, for example {@code sgd}, {@code sgd/raw}, {@code
 *     lngd/recipe-fit}
 * @param kind the optimizer
 * @param options options of {@code lngd train} that it is fixed to
 */
public record Contender(String name, OptimizerKind kind, Map<String, Object> options) {
    /** The settings that are tuned. */
    public List<TuningAxis> axes() {
        return kind.axes((String) options.get("preset"));
    }

    /** With the preset that fits the data, where LNGD has none that was named. */
    Contender fitting(String data, String model) {
        String preset = ModelCatalog.fittingPreset(data, model);
        if (kind != OptimizerKind.LNGD || options.containsKey("preset") || preset == null) {
            return this;
        }
        Map<String, Object> all = new LinkedHashMap<>(options);
        all.put("preset", preset);
        return new Contender(name, kind, all);
    }

    /** Reads one entry of {@code --optimizers}: NAME, then /avg, /raw or, for lngd, /PRESET. */
    public static Contender parse(String text) {
        String[] words = text.strip().split("/", -1);
        OptimizerKind kind = OptimizerKind.parse("--optimizers", words[0]);
        Map<String, Object> options = new LinkedHashMap<>();
        for (int i = 1; i < words.length; i++) {
            if (words[i].equals("avg") || words[i].equals("raw")) {
                options.put("averaged-weights", words[i].equals("avg"));
            } else if (kind == OptimizerKind.LNGD && TrainSettings.PRESETS.contains(words[i])) {
                options.put("preset", words[i]);
            } else {
                throw CliException.badInput(
                        "--optimizers "
                                + text
                                + ": /"
                                + words[i]
                                + " is not known; there are /avg (averaged weights), /raw (none)"
                                + " and for lngd /"
                                + String.join(", /", TrainSettings.PRESETS));
            }
        }
        return new Contender(text.strip(), kind, options);
    }
}
