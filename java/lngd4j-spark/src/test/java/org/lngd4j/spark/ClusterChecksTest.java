// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.apache.spark.SparkConf;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.nativelib.LngdArgumentException;

/** What is refused before anything runs. */
class ClusterChecksTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "local; 1; 1",
                "local[3]; 1; 3",
                "local[4,2]; 2; 2",
                "local-cluster[2,4,1024]; 3; 2",
                "local-cluster[2, 4, 1024]; 1; 8"
            })
    void asManyRanksAsSlotsAndNoMore(String master, int cpus, int slots) {
        SparkConf conf = new SparkConf(false).set("spark.task.cpus", Integer.toString(cpus));
        ClusterChecks.check(conf, master, slots);
        assertThatThrownBy(() -> ClusterChecks.check(conf, master, slots + 1))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("ranks is " + (slots + 1) + ", allowed with master " + master)
                .hasMessageContaining("is 1 to " + slots + ": all ranks run at once");
    }

    @Test
    void aClusterMayGrow() {
        SparkConf conf = new SparkConf(false);
        assertThatCode(() -> ClusterChecks.check(conf, "spark://host:7077", 1000))
                .doesNotThrowAnyException();
        assertThatCode(() -> ClusterChecks.check(conf, "yarn", 1000)).doesNotThrowAnyException();
    }

    @Test
    void speculationIsRefused() {
        SparkConf conf = new SparkConf(false).set("spark.speculation", "true");
        assertThatThrownBy(() -> ClusterChecks.check(conf, "yarn", 2))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith("spark.speculation is true, allowed is false");
    }

    @Test
    void optionsOutOfTheirRangeAreRefused() {
        refused(() -> SparkOptions.builder(0, 1, 1), "ranks is 0, allowed is 1 to 65536");
        refused(() -> SparkOptions.builder(70_000, 1, 1), "ranks is 70000, allowed is 1 to");
        refused(() -> SparkOptions.builder(1, 0, 1), "batch is 0, allowed is 1 to");
        refused(() -> SparkOptions.builder(1, 1, -1), "epochs is -1, allowed is 1 to");
        SparkOptions.Builder builder = SparkOptions.builder(1, 1, 1);
        refused(() -> builder.timeout(Duration.ZERO), "timeout is PT0S, allowed is a millisecond");
        refused(() -> builder.timeout(null), "timeout is null");
        refused(() -> builder.bind(" "), "bind is blank");
        refused(() -> builder.checkpoint(" ", 1), "path is blank, allowed is a folder");
        refused(() -> builder.checkpoint(null, Duration.ofMinutes(1)), "path is null");
        refused(() -> builder.checkpoint("a", 0), "steps is 0, allowed is 1 to");
        refused(() -> builder.resume(true).build(), "resume is true, allowed with checkpoint(...)");
    }

    private static void refused(
            org.assertj.core.api.ThrowableAssert.ThrowingCallable what, String message) {
        assertThatThrownBy(what)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(message);
    }
}
