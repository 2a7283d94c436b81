// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.compare.RunStore.Done;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.Quality;

/** Everything that was measured, for {@code results.json}: a table can be made anew from it. */
final class RawRuns {
    private RawRuns() {}

    static List<Map<String, Object>> of(List<ContenderResult> results) {
        return results.stream().map(RawRuns::contender).toList();
    }

    private static Map<String, Object> contender(ContenderResult result) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("optimizer", result.contender().name());
        json.put("settings", RunFactory.describe(result.contender(), result.point()));
        List<Map<String, Object>> trials = new ArrayList<>();
        result.trials()
                .forEach(
                        (point, score) -> {
                            Map<String, Object> trial = new LinkedHashMap<>();
                            trial.put("settings", RunFactory.describe(result.contender(), point));
                            trial.put("score", finite(score));
                            trials.add(trial);
                        });
        json.put("tuning", trials);
        List<Map<String, Object>> seeds = new ArrayList<>();
        for (Done run : result.runs()) {
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("seed", seeds.size() + 1);
            one.put("diverged", run.diverged());
            one.put("folder", run.folder());
            one.put("commit", run.commit());
            one.put("measured", run.measured().facts());
            one.put("evaluations", run.rows().stream().map(RawRuns::evaluation).toList());
            seeds.add(one);
        }
        json.put("seeds", seeds);
        return json;
    }

    private static Map<String, Object> evaluation(MetricsRow row) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("step", row.step());
        json.put("epoch", row.epoch());
        json.put("seconds", row.seconds());
        json.put("trainLoss", finite(row.trainLoss()));
        json.put("testLoss", finite(row.testLoss()));
        json.put("testAccuracy", finite(row.testAccuracy()));
        if (row.quality() == Quality.BLEU) {
            json.put("testBleu", row.testBleu());
        }
        return json;
    }

    // JSON has no number for what a diverged run or an autoencoder's accuracy is.
    private static Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }
}
