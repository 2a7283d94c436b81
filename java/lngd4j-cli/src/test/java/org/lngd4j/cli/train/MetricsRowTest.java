// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.Device;
import org.lngd4j.LayerHealth;
import org.lngd4j.LngdOptions;
import org.lngd4j.Precision;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.MlpSpec;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;

/** Lines of metrics.csv, of this version and of those before. */
class MetricsRowTest {
    @TempDir Path folder;

    private static final MetricsRow PLAIN = new MetricsRow(5, 0.5, 1.25, 0.75, 0.5, 0.875);
    private static final MetricsRow BLEU =
            new MetricsRow(5, 0.5, 1.25, 0.75, 0.5, Double.NaN, 31.5);

    private static MetricsRow with(MetricsRow row, HealthCounts health) {
        return new MetricsRow(
                row.step(),
                row.epoch(),
                row.seconds(),
                row.trainLoss(),
                row.testLoss(),
                row.testAccuracy(),
                row.testBleu(),
                health);
    }

    @Test
    void linesOfAllVersionsAreRead() {
        assertThat(MetricsRow.parse("5,0.5000,1.250,0.75,0.5,0.875")).isEqualTo(PLAIN);
        assertThat(MetricsRow.parse("5,0.5000,1.250,0.75,0.5,NaN,31.5")).isEqualTo(BLEU);
        HealthCounts counts = new HealthCounts(1, 2, 3);
        assertThat(MetricsRow.parse("5,0.5000,1.250,0.75,0.5,0.875,1,2,3"))
                .isEqualTo(with(PLAIN, counts));
        assertThat(MetricsRow.parse("5,0.5000,1.250,0.75,0.5,NaN,31.5,1,2,3"))
                .isEqualTo(with(BLEU, counts));
        assertThat(MetricsRow.parse("5,0.5000,1.250,0.75,0.5,0.875,,,")).isEqualTo(PLAIN);
        for (String cells : List.of(",1", ",1,2,3,4,5", ",x,2,3")) {
            String line = "5,0.5000,1.250,0.75,0.5" + cells;
            assertThatThrownBy(() -> MetricsRow.parse(line + ",,,,".repeat(3)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
        assertThatThrownBy(() -> MetricsRow.parse("5,0.5000,1.250,0.75,0.5,0.875,1,2"))
                .hasMessageContaining("8 cells");
    }

    @Test
    void theTableHasTheColumnsThatItsRowsKnow() {
        assertThat(MetricsRow.table(List.of(PLAIN)))
                .containsExactly(
                        "step,epoch,seconds,train_loss,test_loss,test_accuracy",
                        "5,0.5000,1.250,0.75,0.5,0.875");
        assertThat(MetricsRow.table(List.of(with(BLEU, new HealthCounts(0, 0, 4)))))
                .containsExactly(
                        "step,epoch,seconds,train_loss,test_loss,test_accuracy,test_bleu,"
                                + "skipped_steps,failed_inverses,skipped_statistics",
                        "5,0.5000,1.250,0.75,0.5,NaN,31.5,0,0,4");
    }

    /** A run of a version before goes on: its rows stay, with empty cells. */
    @Test
    void anOldFileIsContinued() throws IOException {
        Path file = folder.resolve("metrics.csv");
        Files.writeString(
                file, MetricsRow.HEADER + "\n5,0.5000,1.250,0.75,0.5,0.875\n9,1,2,3,4,5\n");
        RunFolder run = RunFolder.existing(folder.toString());
        List<MetricsRow> rows = new ArrayList<>(run.readMetrics(5));
        MetricsRow next = with(PLAIN, new HealthCounts(7, 8, 9));
        rows.add(next);
        run.writeMetrics(rows);
        assertThat(Files.readAllLines(file))
                .containsExactly(
                        MetricsRow.HEADER + ",skipped_steps,failed_inverses,skipped_statistics",
                        "5,0.5000,1.250,0.75,0.5,0.875,,,",
                        "5,0.5000,1.250,0.75,0.5,0.875,7,8,9");
        assertThat(run.readMetrics(5)).containsExactly(PLAIN, next);
    }

    @Test
    void lngdCountsWhatItLeavesOut() {
        Dl4jNetwork net = new MlpSpec(List.of(4, 3, 2)).build(1, new Sgd(0.1));
        LngdOptions options = LngdOptions.recipe(10).device(Device.CPU).build();
        try (LngdMethod method = new LngdMethod(net, options, "cpu")) {
            net.fit(Nd4j.rand(8, 4), labels());
            assertThat(method.health()).isEqualTo(new HealthCounts(0, 0, 0));
            INDArray bad = Nd4j.rand(8, 4);
            bad.putScalar(0, 0, Double.NaN);
            net.fit(bad, labels());
            // Both layers had no finite gradient; the statistics were not due again.
            assertThat(method.health()).isEqualTo(new HealthCounts(2, 0, 0));
        }
    }

    @Test
    void countsAreSumsOverTheLayers() {
        assertThat(HealthCounts.of(List.of(health(1, 10, 100), health(2, 20, 200))))
                .isEqualTo(new HealthCounts(3, 30, 300));
    }

    private static LayerHealth health(long steps, long inverses, long statistics) {
        return new LayerHealth(
                9,
                8,
                7,
                statistics,
                6,
                inverses,
                steps,
                false,
                -1,
                -1,
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                0,
                1,
                Precision.FP32);
    }

    private static INDArray labels() {
        INDArray labels = Nd4j.zeros(8, 2);
        for (int i = 0; i < 8; i++) {
            labels.putScalar(i, i % 2, 1);
        }
        return labels;
    }
}
