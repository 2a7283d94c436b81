// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Which optimizers on which problems.
 *
 * @param problems in the order of the table
 * @param judged the optimizers that are judged
 * @param references the optimizers that they are judged by
 * @param preset of LNGD, or {@link Entrant#PRESET_BY_KIND}
 * @param seeds runs for each, with the seeds 1, 2, ...
 */
record ToyBench(
        List<Problem> problems,
        List<Entrant> judged,
        List<Entrant> references,
        String preset,
        int seeds) {
    /** What {@code --against} is by default: Adam as nobody has tuned it. */
    static final String REFERENCES = "adam@0.001,adam@0.01";

    /**
     * What was found on a problem.
     *
     * @param problem which
     * @param judged outcomes of the judged optimizers
     * @param references outcomes of the others
     */
    record Finding(Problem problem, List<Outcome> judged, List<Outcome> references) {
        Judgement judgement(Outcome outcome) {
            return Judgement.of(outcome, references);
        }

        /** All outcomes, the references first. */
        List<Outcome> outcomes() {
            return Stream.concat(references.stream(), judged.stream()).toList();
        }
    }

    /** Refuses settings that an optimizer does not take, before anything is trained. */
    void check() {
        for (Problem problem : problems) {
            Stream.concat(references.stream(), judged.stream())
                    .forEach(entrant -> entrant.settings(problem, preset, 1));
        }
    }

    /**
     * Runs everything, one run after the other.
     *
     * @param each is told each problem when it is done
     */
    List<Finding> run(Consumer<Finding> each) {
        check();
        List<Finding> findings = new ArrayList<>();
        for (Problem problem : problems) {
            Finding finding =
                    new Finding(problem, outcomes(problem, judged), outcomes(problem, references));
            findings.add(finding);
            each.accept(finding);
        }
        return findings;
    }

    private List<Outcome> outcomes(Problem problem, List<Entrant> entrants) {
        return entrants.stream().map(entrant -> outcome(problem, entrant)).toList();
    }

    private Outcome outcome(Problem problem, Entrant entrant) {
        List<ToyRun.Result> runs = new ArrayList<>();
        for (int seed = 1; seed <= seeds; seed++) {
            runs.add(
                    ToyRun.of(
                            problem, problem.data(seed), entrant.settings(problem, preset, seed)));
        }
        return new Outcome(problem, entrant, runs);
    }
}
