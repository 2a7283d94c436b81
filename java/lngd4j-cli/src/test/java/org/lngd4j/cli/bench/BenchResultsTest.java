// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.bench.BenchResults.Ceiling;
import org.lngd4j.cli.bench.BenchResults.Peer;
import org.lngd4j.cli.bench.BenchResults.Row;

class BenchResultsTest {
    private static final String SSYRK = "scaling + cblas_ssyrk by hand";

    @Test
    void everythingThatTheProgramWrites() {
        BenchResults results = BenchResults.parse(Sample.json());

        assertThat(results.complete()).isTrue();
        assertThat(results.machine().commit()).isEqualTo("0123456789abcdef");
        assertThat(results.machine().blasCore()).isEqualTo("Cooperlake");
        assertThat(results.machine().quick()).isFalse();
        assertThat(results.machine().ceilings())
                .containsExactly(new Ceiling(1, 100, 20), new Ceiling(2, 200, 40));
        // Eight kernels' rows on one thread and six on two; peers are not rows of their own.
        assertThat(results.rows()).hasSize(14);
        Row first = results.rows().get(0);
        assertThat(first.us()).isEqualTo(8000);
        assertThat(first.gflops()).isEqualTo(75);
        assertThat(first.gbytes()).isEqualTo(1);
        assertThat(first.ofCeiling()).isEqualTo(0.75);
        assertThat(first.residual()).isEqualTo(1.2e-7);
        assertThat(first.peers()).containsExactly(new Peer(SSYRK, false, 0.8, null));
    }

    @Test
    void aPeerThatDoesLessIsMarked() {
        Row precondition = row("precondition", 1);
        assertThat(precondition.peers())
                .containsExactly(new Peer("cblas_sgemm of the blocks alone", true, 1.25, null));
        assertThat(precondition.peers().get(0).lost()).isTrue();
    }

    @Test
    void failuresAreKeptAndNotCounted() {
        Row peerFailed = row("factor_inverse", 2);
        assertThat(peerFailed.counts()).isTrue();
        assertThat(peerFailed.peers())
                .singleElement()
                .satisfies(
                        peer -> assertThat(peer.error()).isEqualTo("no LAPACK in libopenblas.so.0"))
                .satisfies(peer -> assertThat(peer.exists()).isFalse());
        assertThat(peerFailed.compared()).isEmpty();

        Row failed = row("precondition", 2);
        assertThat(failed.error()).isEqualTo("out of memory");
        assertThat(failed.us()).isNaN();
        assertThat(row("apply_update", 1).counts()).isFalse();
        assertThat(row("swap_averages", 1).residual()).isNaN();
        assertThat(row("swap_averages", 1).counts()).isFalse();
        assertThat(BenchResults.parse(Sample.json()).bad()).isEqualTo(3);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '\'',
            value = {
                "\"complete\":true,; ''; complete is missing, allowed is true or false",
                "\"complete\":true; \"complete\":\"yes\"; complete is yes, allowed is true",
                "\"date\":\"2026-11-23T02:10Z\"; \"date\":7; machine.date is 7, allowed is a text",
                "\"copy_gbytes\":20; \"copy\":20; machine.ceilings[0].copy_gbytes is missing",
                "\"threads\":1,\"us\":8000; \"threads\":0,\"us\":8000; results[0].threads is 0",
                "\"us\":8000; \"us\":-1; results[0].us is -1, allowed is a number above 0",
                "\"us\":8000; \"us\":null; results[0].us is null",
                "\"residual\":1.2e-07; \"residual\":\"small\"; allowed is a number or null",
                "by hand\":0.8; by hand\":0; by hand is 0, allowed is a number above 0",
                "by hand\":0.8; by hand\":0.8,\"EJML\":2; EJML has no row in results",
                "\"of_peers\":{}; \"of_peers\":[]; results[6].of_peers is [], allowed is an object",
                "\"results\":[; \"results\":[7,; results[0] is 7, allowed is an object",
                "\"results\":[; \"rows\":[; results is missing, allowed is a list",
            })
    void whatIsWrongIsNamed(String old, String by, String message) {
        String json = Sample.json(old, by);
        assertThatThrownBy(() -> BenchResults.parse(json))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }

    @Test
    void aFileWithoutRowsIsNoResult() {
        String json = Sample.json();
        String empty = json.substring(0, json.indexOf("\"results\":[")) + "\"results\":[\n]}\n";
        assertThatThrownBy(() -> BenchResults.parse(empty))
                .hasMessage("results has no row by lngd");
    }

    private static Row row(String kernel, int threads) {
        return BenchResults.parse(Sample.json()).rows().stream()
                .filter(r -> r.what().kernel().equals(kernel) && r.what().threads() == threads)
                .findFirst()
                .orElseThrow();
    }
}
