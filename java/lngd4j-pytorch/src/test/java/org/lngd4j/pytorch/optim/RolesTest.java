// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.GRUImpl;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LayerNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Module;
import org.junit.jupiter.api.Test;
import org.lngd4j.OutputModel;
import org.lngd4j.pytorch.LngdLinear;

/** Which matrices are hidden: the rules of this project's updaters for Deeplearning4j. */
class RolesTest {
    @Test
    void convolutionsAreMatricesAndTheFirstAndTheOutputAreAdamWs() {
        try (Muon muon = new Muon(new ConvNet(1), MuonOptions.builder().build())) {
            OptimizerReport report = muon.report();
            assertThat(report.parameters("Muon")).containsExactly("second.weight", "hidden.weight");
            assertThat(report.toString().lines())
                    .hasSize(10)
                    .contains(
                            "first.weight   3 x 2 x 3 x 3  AdamW     the first convolution",
                            "norm.weight                3  AdamW",
                            "second.weight  5 x 3 x 2 x 2  Muon",
                            "output.weight          4 x 6  AdamW     an output layer");
        }
    }

    @Test
    void aFirstLinearLayerIsHidden() {
        Module net = new Module("net");
        net.register_module("a", new LinearImpl(3, 4));
        net.register_module("b", new LinearImpl(4, 2));
        assertThat(roles(net))
                .containsExactly(
                        "a.weight HIDDEN", "a.bias VECTOR", "b.weight OUTPUT", "b.bias VECTOR");
    }

    @Test
    void whatWasToldIsTheOutputAndNotTheLast() {
        Module net = new Module("net");
        net.register_module("head", new LngdLinear(4, 2).output(OutputModel.SOFTMAX));
        net.register_module("trunk", new LngdLinear(3, 4));
        assertThat(roles(net)).contains("head.weight OUTPUT", "trunk.weight HIDDEN");
    }

    @Test
    void otherModules() {
        Module net = new Module("net");
        net.register_module("table", new EmbeddingImpl(10, 4));
        net.register_module("norm", new LayerNormImpl(new LayerNormOptions(new LongVector(3, 4))));
        net.register_module("gru", new GRUImpl(4, 5));
        Conv2dOptions grouped = new Conv2dOptions(4, 4, new LongPointer(3, 3));
        grouped.groups().put(2);
        net.register_module("grouped", new Conv2dImpl(grouped));
        Module block = new Module("block");
        block.register_module("in", new LinearImpl(5, 6));
        net.register_module("block", block);
        net.register_module("out", new LinearImpl(6, 2));
        assertThat(roles(net))
                .contains(
                        "table.weight EMBEDDING",
                        "norm.weight VECTOR",
                        "gru.weight_ih_l0 OTHER_WEIGHT",
                        "gru.bias_ih_l0 VECTOR",
                        "grouped.weight OTHER_WEIGHT",
                        "block.in.weight HIDDEN",
                        "out.weight OUTPUT");
        try (Muon muon = new Muon(net, MuonOptions.builder().adamW("block.in").build());
                Soap soap = new Soap(net, SoapOptions.builder().build())) {
            assertThat(muon.report().parameters("Muon")).isEmpty();
            assertThat(muon.report().toString())
                    .contains("named for AdamW", "an embedding", "no weight matrix known");
            assertThat(soap.report().parameters("Soap"))
                    .containsExactly("table.weight", "block.in.weight", "out.weight");
        }
    }

    @Test
    void sharedTensorsAreTrainedOnceAndFrozenOnesNotAtAll() {
        LinearImpl shared = new LinearImpl(4, 4);
        Module net = new Module("net");
        net.register_module("a", shared);
        net.register_module("b", shared);
        LinearImpl frozen = new LinearImpl(4, 4);
        frozen.weight().set_requires_grad(false);
        net.register_module("c", frozen);
        net.register_module("d", new LinearImpl(4, 2));
        try (Soap soap = new Soap(net, SoapOptions.builder().build())) {
            assertThat(soap.report().parameters("(frozen)")).containsExactly("c.weight");
            assertThat(soap.report().parameters("Soap")).containsExactly("a.weight", "d.weight");
        }
    }

    private static List<String> roles(Module net) {
        return NamedParameter.of(net).stream().map(p -> p.name() + " " + p.role()).toList();
    }
}
