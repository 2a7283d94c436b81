// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.support.MarkdownTable;

class BenchTableTest {
    @Test
    void theMachineIsOneLineAboveAll() {
        assertThat(table(Sample.json()).get(0))
                .isEqualTo(
                        "2026-11-23T02:10Z, commit 0123456789abcdef. made-up processor, avx512,"
                                + " OpenBLAS 0.3.31 DYNAMIC_ARCH (core type Cooperlake), compiler"
                                + " 12.2.0. Ceilings: 1 thread: sgemm 100.0 GFLOP/s, copy 20.0"
                                + " GB/s; 2 threads: sgemm 200.0 GFLOP/s, copy 40.0 GB/s.");
    }

    @Test
    void everyRowWithWhatWasMeasured() {
        List<String> rows = section("## All rows");
        // Two of titles, and the rows.
        assertThat(rows).hasSize(2 + 14);
        assertThat(rows)
                .contains(
                        "| layer_statistics | sweep | d576 | full | 1 | 8000 | 75.0 | 1.0 | 75 % |"
                                + " 0.800 scaling + cblas_ssyrk by hand | 1.2e-07 |",
                        "| layer_statistics | sweep | d1152 | full | 2 | 20000 | 120.0 | 0.9 |"
                                + " 60 % | **1.250 lost** scaling + cblas_ssyrk by hand |"
                                + " 2.2e-07 |",
                        "| conv_statistics | lenet | conv0 | default | 1 | 2000 | 20.0 | 1.5 |"
                                + " 20 % | - | 1.1e-07 |",
                        "| precondition | mlp | all | default | 1 | 700 | 80.0 | 5.0 | 80 % |"
                                + " **1.250 lost** cblas_sgemm of the blocks alone (part) |"
                                + " 7.7e-08 |",
                        "| apply_update | mlp | all | default | 1 | 50.00 | 20.0 | 100.0 | 500 % |"
                                + " - | **2.0e-03 WRONG** |",
                        "| factor_inverse | mlp | all | default | 2 | 250 | 80.0 | 3.6 | 40 % |"
                                + " spotrf + spotri FAILED: no LAPACK in libopenblas.so.0 |"
                                + " 1.0e-06 |",
                        "| precondition | mlp | all | default | 2 | - | - | - | - | - |"
                                + " **FAILED**: out of memory |");
        assertThat(rows).filteredOn(row -> row.contains("**not finite WRONG**")).hasSize(1);
        assertThat(rows).filteredOn(row -> row.contains("lost**")).hasSize(3);
    }

    @Test
    void theSummaryOfEachPeer() {
        String ssyrk = "| layer_statistics | scaling + cblas_ssyrk by hand |";
        assertThat(section("## Our time over the peer's"))
                .containsSubsequence(
                        // sqrt(0.8 * 1.25) = 1, sqrt(0.5 * 1.25) = 0.7906; arithmetic means would
                        // be 1.025 and 0.875.
                        ssyrk + " full | 1 | 2 | 1.000 | 0.800 | 1.250 | **1** |",
                        ssyrk + " full | 2 | 2 | 0.791 | 0.500 | 1.250 | **1** |",
                        ssyrk + " default | 1 | 1 | 0.500 | 0.500 | 0.500 | 0 |",
                        ssyrk + " default | 2 | 1 | 0.800 | 0.800 | 0.800 | 0 |",
                        "| factor_inverse | spotrf + spotri | default | 1 | 1 | 0.250 | 0.250 |"
                                + " 0.250 | 0 |",
                        "| precondition | cblas_sgemm of the blocks alone (part) | default | 1 |"
                                + " 1 | 1.250 | 1.250 | 1.250 | **1** |")
                // Nothing of the rows that failed.
                .filteredOn(line -> line.startsWith("|"))
                .hasSize(2 + 6);
    }

    @Test
    void theSpeedUpOfWhatTakesMoreThanAMillisecond() {
        // d576 8000 / 4000, d1152 30000 / 20000; the MLP's rows take less than 1 ms.
        assertThat(section("## Time on one thread over the time on several"))
                .containsSubsequence(
                        "| layer_statistics | 2 | 2 | 2.00 | 1.50 | **1** |",
                        "| conv_statistics | 2 | 1 | 2.00 | 2.00 | 0 |")
                .filteredOn(line -> line.startsWith("|"))
                .hasSize(2 + 2);
    }

    @Test
    void aDisturbedRowIsMarkedAndNoSpeedUp() {
        // The first row of the file, d576 on one thread, and then its peer.
        String flag = "\"undisturbed\":true";
        String disturbed = flag.replace("true", "false");
        String ours = Sample.json(flag, disturbed);
        String both = ours.replaceFirst(flag, disturbed);
        String peer = both.replaceFirst(disturbed, flag);
        for (String json : List.of(ours, peer)) {
            assertThat(section(json, "## All rows"))
                    .anyMatch(line -> line.contains("| d576 | full | 1 | 8000 \\* |"))
                    .noneMatch(line -> line.contains("| d1152 | full | 1 | 30000 \\* |"));
            assertThat(table(json))
                    .anyMatch(
                            line -> line.startsWith("\\*: the machine") && line.contains("(1 row"));
            assertThat(section(json, "## Time on one thread over the time on several"))
                    .contains("| layer_statistics | 2 | 1 | 1.50 | 1.50 | **1** |");
        }
        assertThat(table(Sample.json())).noneMatch(line -> line.contains("\\*"));
    }

    @Test
    void theEdgesOfTheCounts() {
        // One thread at 1 ms sharp does not count; 1.7 sharp on two threads is not below it.
        String json =
                Sample.json()
                        .replace("\"us\":2000,", "\"us\":1000,")
                        .replace("\"us\":20000,", "\"us\":10000,")
                        .replace("\"us\":30000,", "\"us\":17000,");
        assertThat(section(json, "## Time on one thread over the time on several"))
                .contains("| layer_statistics | 2 | 2 | 2.00 | 1.70 | 0 |")
                .noneMatch(line -> line.contains("conv_statistics"));
        // As fast as the peer is not lost; a little slower is, though it is rounded to 1.
        assertThat(lost("by hand\":1")).isZero();
        assertThat(lost("by hand\":1.0001")).isEqualTo(1);
    }

    private static int lost(String first) {
        BenchResults results = BenchResults.parse(Sample.json("by hand\":1.25", first));
        return BenchSummary.ratios(results).get(0).lost();
    }

    @Test
    void aWrongRowIsInNoSummary() {
        String json =
                Sample.json(
                        "\"residual\":2.2e-07,\"bound\":1e-05,\"correct\":true",
                        "\"residual\":2.2e-03,\"bound\":1e-05,\"correct\":false");
        assertThat(section(json, "## Our time over the peer's"))
                .contains(
                        "| layer_statistics | scaling + cblas_ssyrk by hand | full | 1 | 1 | 0.800"
                                + " | 0.800 | 0.800 | 0 |");
        assertThat(section(json, "## Time on one thread over the time on several"))
                .contains("| layer_statistics | 2 | 1 | 2.00 | 2.00 | 0 |");
        assertThat(table(json)).anyMatch(line -> line.contains("WRONG: 4**"));
    }

    @Test
    void whatIsMissingIsSaid() {
        assertThat(table(Sample.json())).noneMatch(line -> line.contains("Partial"));
        assertThat(table(Sample.json("\"complete\":true", "\"complete\":false")))
                .anyMatch(line -> line.startsWith("**Partial**"));
        assertThat(table(Sample.json("\"quick\":false", "\"quick\":true")).get(0))
                .contains("0123456789abcdef, quick.");
        assertThat(table(oneRow()))
                .contains("No row has a peer.")
                .contains("No such row was timed on one thread and on several.");
    }

    @Test
    void aBarOrALineFeedInATextIsNoCell() {
        MarkdownTable table = new MarkdownTable(1, "a", "b");
        table.add("x|y", "1\n2");
        assertThat(table.toString()).isEqualTo("| a | b |\n| --- | ---: |\n| x\\|y | 1 2 |\n");
    }

    /** Only the row of conv_statistics on one thread. */
    static String oneRow() {
        List<String> lines = Sample.json().lines().toList();
        String row = lines.stream().filter(l -> l.contains("conv_statistics")).findFirst().get();
        return lines.get(0) + lines.get(1) + row.replaceFirst(",$", "") + "]}";
    }

    private static List<String> table(String json) {
        return BenchTable.markdown(BenchResults.parse(json)).lines().toList();
    }

    private static List<String> section(String title) {
        return section(Sample.json(), title);
    }

    /** The lines of a section's table. */
    private static List<String> section(String json, String title) {
        List<String> lines = table(json);
        return lines.subList(lines.indexOf(title) + 1, lines.size()).stream()
                .takeWhile(line -> !line.startsWith("## "))
                .filter(line -> line.startsWith("|"))
                .toList();
    }
}
