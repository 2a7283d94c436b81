// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** {@code bench/scaling/measure.sh}, by the class path of the tests. */
@EnabledIfSystemProperty(named = "lngd.scaling", matches = ".+")
class ScalingMeasurementTest {
    @Test
    void measures() throws IOException {
        String[] arguments = System.getProperty("lngd.scaling").split(" ", 5);
        ScalingMeasurement.main(arguments);
        assertThat(Files.readString(Path.of(arguments[4]))).contains("\"all_reduces\"", "\"runs\"");
    }
}
