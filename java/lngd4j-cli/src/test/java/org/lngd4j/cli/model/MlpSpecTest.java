// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.CliException;
import org.nd4j.linalg.learning.config.Sgd;

class MlpSpecTest {
    @ParameterizedTest
    @CsvSource({
        "mlp, 784-256-128-10",
        "mlp:256-128, 784-256-128-10",
        "mlp:784-256-128-10, 784-256-128-10",
        "mlp:32, 784-32-10",
        "mlp:784-10, 784-10",
        "mlp:784, 784-784-10",
        "mlp:100-10, 784-100-10-10"
    })
    void readsHiddenOrAllWidths(String text, String network) {
        assertThat(MlpSpec.parse(text, 784, 10)).hasToString(network);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "cnn",
                "mlp:",
                "mlp:-",
                "mlp:0",
                "mlp:12-",
                "mlp:12--3",
                "mlp:-3",
                "mlp:1.5",
                "mlp:99999",
                "mlp:1234567890123",
                "mlp:256,128",
                "MLP"
            })
    void refusesWhatIsNoModel(String text) {
        assertThatThrownBy(() -> MlpSpec.validate(text))
                .isInstanceOf(CliException.class)
                .hasMessageStartingWith("--model " + text + ": ");
    }

    @Test
    void refusesTooManyLayersAndParameters() {
        String deep = "mlp:8" + "-8".repeat(64);
        assertThatThrownBy(() -> MlpSpec.validate(deep))
                .hasMessageContaining("65 widths, at most 64");
        assertThatThrownBy(() -> MlpSpec.parse("mlp:60000-60000", 784, 10))
                .hasMessageContaining("parameters, at most");
    }

    @Test
    void buildsTheNetworkItCounts() {
        MlpSpec spec = MlpSpec.parse("mlp:7-5", 11, 3);
        MultiLayerNetwork net = (MultiLayerNetwork) spec.build(3, new Sgd()).model();

        assertThat(spec.parameters())
                .isEqualTo(11 * 7 + 7 + 7 * 5 + 5 + 5 * 3 + 3)
                .isEqualTo(net.numParams());
        assertThat(net.params()).isEqualTo(spec.build(3, new Sgd()).params());
        assertThat(net.params()).isNotEqualTo(spec.build(4, new Sgd()).params());
    }
}
