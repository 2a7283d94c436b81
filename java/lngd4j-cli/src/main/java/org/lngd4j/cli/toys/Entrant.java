// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.compare.Contender;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.cli.train.TrainSettings;

/**
 * An optimizer with the settings that it has on every problem.
 *
 * @param name as the user wrote it, for example {@code adam@0.001}, {@code lngd/recipe-fit}
 * @param contender what was said but for the number behind the @
 * @param value of the first setting that {@code lngd compare} would tune, or null: its default
 */
record Entrant(String name, Contender contender, Double value) {
    private static final Pattern FORM = Pattern.compile("([^@/]+)(?:@([^@/]+))?((?:/[^@]*)?)");

    /** What {@code --preset} means when LNGD's preset follows the problem's kind. */
    static final String PRESET_BY_KIND = "auto";

    /** Reads NAME, then @VALUE, then what {@code lngd compare} knows: /avg, /raw, /PRESET. */
    static Entrant parse(String option, String text) {
        String name = text.strip();
        Matcher form = FORM.matcher(name);
        if (!form.matches()) {
            throw CliException.badInput(
                    option + " " + name + ": expected NAME, NAME@VALUE or NAME@VALUE/avg");
        }
        Contender contender = Contender.parse(form.group(1) + form.group(3));
        return new Entrant(name, contender, form.group(2) == null ? null : number(form, option));
    }

    private static double number(Matcher form, String option) {
        try {
            return Double.parseDouble(form.group(2));
        } catch (NumberFormatException e) {
            throw CliException.badInput(
                    option + " " + form.group() + ": " + form.group(2) + " is not a number", e);
        }
    }

    /** Reads a list with commas. */
    static List<Entrant> list(String option, String texts) {
        List<Entrant> entrants = new ArrayList<>();
        for (String text : Arrays.asList(texts.split(",", -1))) {
            entrants.add(parse(option, text));
        }
        return entrants;
    }

    /**
     * The preset that LNGD takes where none is said: the one place where a kind of problem decides
     * it.
     */
    static String defaultPreset(Problem.Kind kind) {
        return switch (kind) {
            case CLASSIFICATION -> "recipe";
            case REGRESSION -> "recipe-fit";
        };
    }

    /**
     * Everything that decides the training of a problem.
     *
     * @param preset of LNGD, or {@link #PRESET_BY_KIND}; a preset in the name comes before it
     */
    TrainSettings settings(Problem problem, String preset, long seed) {
        OptimizerKind kind = contender.kind();
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("data", problem.name());
        // Asked for by the settings, but by no method: the network is the problem's.
        map.put("model", "mlp");
        map.put("optimizer", kind.toString());
        map.put("epochs", problem.epochs());
        map.put("batch", problem.batch());
        map.put("seed", seed);
        // The copies to a GPU would take longer than such a network, and results would depend on
        // the machine.
        map.put("device", "cpu");
        map.put("threads", 1);
        map.put("eval-every", 1.0 / problem.evaluations());
        if (kind == OptimizerKind.LNGD) {
            boolean byKind = preset.equals(PRESET_BY_KIND);
            map.put("preset", byKind ? defaultPreset(problem.kind()) : preset);
        }
        map.putAll(contender.options());
        if (value != null) {
            map.put(kind.axes().get(0).option(), value);
        }
        return TrainSettings.of(map);
    }
}
