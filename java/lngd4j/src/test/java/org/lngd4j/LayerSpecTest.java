// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** Layers and their checks. */
class LayerSpecTest {
    private final LayerSpec dense = LayerSpec.dense("fc1", 784, 256);

    @Test
    void copiesDifferInOneThing() {
        assertThat(dense.bias()).isTrue();
        assertThat(dense.columns()).isEqualTo(785);
        assertThat(dense.bias(false).columns()).isEqualTo(784);
        assertThat(dense.activation(Activation.LEAKY_RELU).activationParameter()).isEqualTo(0.01);
        assertThat(dense.activation(Activation.ELU, 2).activationParameter()).isEqualTo(2);
        assertThat(dense.fisher(Fisher.PROVIDED).fisher()).isEqualTo(Fisher.PROVIDED);
        assertThat(dense.bias(false).bias(true)).isEqualTo(dense);
        assertThat(dense.toString()).contains("fc1", "784", "256", "RELU");
    }

    @Test
    void linkFunctionsTakeThePlaceOfTheActivation() {
        for (OutputModel model :
                List.of(OutputModel.SOFTMAX, OutputModel.SIGMOID, OutputModel.SOFTMAX_GAUSSIAN)) {
            assertThat(dense.output(model).activation()).isEqualTo(Activation.IDENTITY);
            assertThatThrownBy(() -> dense.output(model).activation(Activation.TANH))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("fc1", "TANH", "IDENTITY", model.name());
        }
        assertThat(dense.output(OutputModel.SQUARED_ERROR).activation()).isEqualTo(Activation.RELU);
    }

    @Test
    void badValuesAreRefusedByName() {
        assertThatThrownBy(() -> LayerSpec.dense(null, 1, 1)).hasMessageContaining("name");
        assertThatThrownBy(() -> LayerSpec.dense("", 1, 1)).hasMessageContaining("name");
        assertThatThrownBy(() -> LayerSpec.dense("x", 0, 1)).hasMessageContainingAll("inputs", "0");
        assertThatThrownBy(() -> LayerSpec.dense("x", 1, 1L << 25))
                .hasMessageContainingAll("outputs", "33554432");
        assertThatThrownBy(() -> dense.activation(null)).hasMessageContaining("activation");
        assertThatThrownBy(() -> dense.output(null)).hasMessageContaining("output");
        assertThatThrownBy(() -> dense.activation(Activation.LEAKY_RELU, 2))
                .hasMessageContainingAll("slope", "2.0");
        assertThatThrownBy(() -> dense.activation(Activation.ELU, 0)).hasMessageContaining("alpha");
        assertThatThrownBy(() -> dense.activation(Activation.ELU, Double.NaN))
                .hasMessageContaining("NaN");
    }

    @Test
    void everyLayerTheChecksLetThroughIsOneForTheLibrary() {
        LngdOptions options = LngdOptions.recipe(10).build();
        for (Activation activation : Activation.values()) {
            for (Fisher fisher : Fisher.values()) {
                LayerSpec spec = LayerSpec.dense("x", 3, 2).activation(activation).fisher(fisher);
                LngdOptimizer.create(options, List.of(spec)).close();
            }
        }
        for (OutputModel model : OutputModel.values()) {
            LngdOptimizer.create(options, List.of(LayerSpec.dense("x", 3, 2).output(model)))
                    .close();
        }
    }
}
