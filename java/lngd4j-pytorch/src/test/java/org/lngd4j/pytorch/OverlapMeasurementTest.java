// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** {@code bench/scaling/overlap.sh}, by the class path of the tests. */
@EnabledIfSystemProperty(named = "lngd.overlap", matches = ".+")
class OverlapMeasurementTest {
    @Test
    void measures() throws Exception {
        String[] a = System.getProperty("lngd.overlap").split(" ", 5);
        OverlapMeasurement.measure(a[0], a[1], a[2], a[3], Path.of(a[4]));
        assertThat(Files.readString(Path.of(a[4]))).contains("\"in_the_step\"");
    }
}
