// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.compare.RunStore.Done;

/** What is told of runs that were not measured under the same. */
class MixtureTest {
    private static final Map<String, Object> SETTINGS = Map.of("momentum", 0.9);

    @Test
    void runsThatAreAlikeAreNoMixtureAlsoWhereAllIsUnknown() {
        Measured here = measured("1", "abc");
        assertThat(Mixture.of(results(List.of(here), run(here, SETTINGS), run(here, SETTINGS))))
                .isEmpty();
        Measured unknown = new Measured(Map.of());
        assertThat(Mixture.of(results(List.of(), run(unknown, null), run(unknown, null))))
                .isEmpty();
        assertThat(Mixture.of(List.of())).isEmpty();
    }

    @Test
    void eachDifferenceIsOneLineWithTheNumbersOfRuns() {
        Measured two = measured("2", "0123456789abcdef01234567");
        Measured one = measured("1", "fedcba9876543210fedcba98-dirty");
        assertThat(
                        Mixture.of(
                                results(
                                        List.of(one, two),
                                        run(two, SETTINGS),
                                        run(one, Map.of("momentum", 0.95)),
                                        run(two, Map.of()))))
                .containsExactly(
                        "not measured alike: runs at a time 2 (2 runs), 1 (1 run)",
                        "not measured alike: commit 0123456789ab (2 runs), fedcba987654-dirty (1 run)",
                        "not tuned alike: commit fedcba987654-dirty (1 run), 0123456789ab (1 run)",
                        "not the same settings: sgd momentum 0.9 (1 run), 0.95 (1 run), unknown (1 run)");
    }

    /** What the machine did beside does not change what a short run reaches. */
    @Test
    void shortRunsMayHaveRunSideBySide() {
        Measured here = measured("1", "abc");
        assertThat(Mixture.of(results(List.of(here, measured("2", "abc")), run(here, SETTINGS))))
                .isEmpty();
    }

    private static Measured measured(String atATime, String commit) {
        Map<String, String> facts = new HashMap<>();
        facts.put(Measured.AT_A_TIME, atATime);
        facts.put(Measured.COMMIT, commit);
        return new Measured(facts);
    }

    private static Done run(Measured measured, Map<String, Object> details) {
        return new Done(List.of(), details == null, "folder", null, measured, details);
    }

    private static List<ContenderResult> results(List<Measured> tuning, Done... runs) {
        List<ContenderResult> results = new ArrayList<>();
        results.add(
                new ContenderResult(
                        Contender.parse("sgd"), List.of(), Map.of(), tuning, List.of(runs)));
        return results;
    }
}
