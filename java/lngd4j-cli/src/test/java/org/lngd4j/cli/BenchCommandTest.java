// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.train.CommandResult;

/** What {@code lngd bench} refuses. The program that it starts is run by the native tests. */
class BenchCommandTest {
    private static final String ROOT = "org.lngd4j.root";

    @AfterEach
    void forgetTheRoot() {
        System.clearProperty(ROOT);
    }

    @Test
    void itNeedsTheSourceTree() {
        CommandResult result = CommandResult.of("bench");
        assertThat(result.status()).isEqualTo(CliException.BAD_INPUT);
        assertThat(result.err()).contains("start this with its command ./lngd");
        assertThat(result.err().lines()).hasSize(1);
    }

    @Test
    void anUnknownDeviceIsNamed() {
        System.setProperty(ROOT, "not there");
        CommandResult result = CommandResult.of("bench", "--device", "tpu");
        assertThat(result.status()).isEqualTo(CliException.BAD_INPUT);
        assertThat(result.err()).contains("--device tpu", "cpu and cuda");
        assertThat(result.err().lines()).hasSize(1);
    }
}
