// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class OneDnnTest {
    /** As DL4J's BaseMKLDNNHelper asks. */
    @Test
    void theClassThatDl4jLooksForAnswersAsTheSwitchSays() throws ReflectiveOperationException {
        Class<?> asked = Class.forName("org.nd4j.nativeblas.Nd4jCpu$Environment");
        Object instance = asked.getMethod("getInstance").invoke(null);

        assertThat(asked.getMethod("isUseMKLDNN").invoke(instance)).isEqualTo(false);
        assertThat(Versions.convolutions()).isEqualTo("ND4J");
        System.setProperty("org.lngd4j.onednn", "true");
        try {
            assertThat(asked.getMethod("isUseMKLDNN").invoke(instance)).isEqualTo(true);
            assertThat(Versions.convolutions()).isEqualTo("oneDNN");
        } finally {
            System.clearProperty("org.lngd4j.onednn");
        }
    }
}
