// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.EmbeddingOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;

/** What goes wrong is told by name, and changes nothing. */
@SuppressWarnings("try") // close() is called on purpose
class OptimizerMisuseTest {
    private final ConvNet net = new ConvNet(1);
    private final MuonOptions options = MuonOptions.builder().build();

    @Test
    void settingsOutOfTheirRangesAreNamed() {
        argument(() -> MuonOptions.builder().learningRate(0), "learningRate is 0.0");
        argument(() -> MuonOptions.builder().momentum(1), "momentum is 1.0");
        argument(() -> MuonOptions.builder().newtonSchulzSteps(0), "newtonSchulzSteps is 0");
        argument(() -> MuonOptions.builder().scale(null), "scale is null");
        argument(() -> MuonOptions.builder().weightDecay(-1), "weightDecay is -1.0");
        argument(() -> MuonOptions.builder().rest(null), "rest is null");
        argument(() -> new RestOptions(1, 0.9, 0.9999999999, 0, 0), "rest.beta2 is 0.9999999999");
        argument(() -> SoapOptions.builder().learningRate(Double.NaN), "learningRate is NaN");
        argument(() -> SoapOptions.builder().beta1(-0.1), "beta1 is -0.1");
        argument(() -> SoapOptions.builder().beta2(1), "beta2 is 1.0");
        argument(() -> SoapOptions.builder().shampooBeta(1), "shampooBeta is 1.0");
        argument(() -> SoapOptions.builder().epsilon(-1), "epsilon is -1.0");
        argument(
                () -> SoapOptions.builder().preconditionFrequency(0), "preconditionFrequency is 0");
        argument(
                () -> SoapOptions.builder().maxPreconditionedSize(0), "maxPreconditionedSize is 0");
        try (Muon muon = new Muon(net, options)) {
            argument(() -> muon.setLearningRate(-1), "learningRate is -1.0");
            assertThat(muon.learningRate()).isEqualTo(0.02);
        }
    }

    @Test
    void parametersThatCannotBeTrainedAreNamed() {
        argument(() -> new Muon((Module) null, options), "model is null");
        argument(() -> new Muon(net, null), "options is null");
        argument(() -> new Soap((List<NamedParameter>) null, soap()), "parameters is null");
        argument(
                () -> new Muon(net, MuonOptions.builder().adamW("third").build()),
                "adamW is third; allowed is the name of a layer with parameters: first, norm,");
        NamedParameter a = parameter("a", torch.randn(2, 3));
        argument(() -> new Soap(List.of(a, a), soap()), "two of the name a");
        argument(
                () -> new Soap(List.of(a, parameter("b", a.tensor())), soap()),
                "parameter b is the tensor of a");
        argument(
                () -> new Soap(List.of(parameter("b", new Tensor())), soap()),
                "parameter b is not defined");
        argument(
                () -> new Soap(List.of(parameter("b", a.tensor().mul(new Scalar(2)))), soap()),
                "parameter b is the result of an operation");
        argument(
                () -> new Soap(List.of(parameter("b", torch.randn(2, 3), false)), soap()),
                "none that requires a gradient");
        argument(() -> parameter("b", torch.randn(3)), "role of b is HIDDEN");
        net.to(torch.ScalarType.Double, false);
        argument(() -> new Muon(net, options), "the type of parameter first.weight is Double");
    }

    @Test
    void aStepNeedsABackwardPass() {
        try (Muon muon = new Muon(net, options)) {
            state(muon::step, "first.weight");
            net.backward(1);
            muon.step();
            muon.zeroGrad();
            state(muon::step, "backward()");
        }
    }

    @Test
    void aParameterWithoutGradientStaysAsItIs() {
        Map<String, double[][]> before = net.weights();
        try (Muon muon = new Muon(net, MuonOptions.builder().weightDecay(0.5).build())) {
            net.backward(1);
            net.hidden.weight().mutable_grad().put(new Tensor());
            muon.step();
        }
        Map<String, double[][]> after = net.weights();
        assertThat(after.get("hidden.weight")).isDeepEqualTo(before.get("hidden.weight"));
        assertThat(Dense.difference(after.get("hidden.bias"), before.get("hidden.bias")))
                .isPositive();
    }

    @Test
    void aModelThatWasConvertedIsRefused() {
        try (Muon muon = new Muon(net, options)) {
            net.to(torch.ScalarType.Double, false);
            Tensor images = torch.randn(2, 2, 6, 6).to(torch.ScalarType.Double);
            net.forward(images).sum().backward();
            state(muon::step, "parameter first.weight was moved or converted");
        }
    }

    @Test
    void sparseGradientsAreRefused() {
        Module model = new Module("model");
        EmbeddingOptions sparse = new EmbeddingOptions(5, 3);
        sparse.sparse().put(true);
        EmbeddingImpl table = model.register_module("table", new EmbeddingImpl(sparse));
        try (Soap soap = new Soap(model, soap())) {
            table.forward(Tensor.create(new long[] {1, 2})).sum().backward();
            state(soap::step, "gradient of parameter table.weight is sparse");
        }
    }

    @Test
    void soapRefusesAFirstGradientWithoutNumbers() {
        Map<String, double[][]> before = net.weights();
        try (Soap soap = new Soap(net, soap())) {
            net.backward(1);
            net.output.weight().grad().fill_(new Scalar(Double.NaN));
            state(soap::step, "parameter output.weight: no eigenvectors");
            net.weights()
                    .forEach((name, w) -> assertThat(w).as(name).isDeepEqualTo(before.get(name)));
            soap.zeroGrad();
            ConvNet.train(net, soap, 1, 4);
        }
        ConvNet fresh = new ConvNet(1);
        try (Soap soap = new Soap(fresh, soap())) {
            ConvNet.train(fresh, soap, 1, 4);
        }
        Map<String, double[][]> expected = fresh.weights();
        net.weights()
                .forEach((name, w) -> assertThat(w).as(name).isDeepEqualTo(expected.get(name)));
    }

    @Test
    void nothingWorksAfterClose() {
        Muon muon = new Muon(net, options);
        muon.close();
        muon.close();
        assertThatThrownBy(muon::step).isInstanceOf(LngdHandleException.class);
        assertThatThrownBy(muon::zeroGrad).isInstanceOf(LngdHandleException.class);
        assertThatThrownBy(muon::saveState).isInstanceOf(LngdHandleException.class);
        net.backward(1); // the model goes on
    }

    private static SoapOptions soap() {
        return SoapOptions.builder().build();
    }

    private static NamedParameter parameter(String name, Tensor tensor) {
        return parameter(name, tensor, true);
    }

    private static NamedParameter parameter(String name, Tensor tensor, boolean trained) {
        if (tensor.defined() && tensor.is_leaf()) {
            tensor.set_requires_grad(trained);
        }
        return new NamedParameter(name, tensor, ParameterRole.HIDDEN);
    }

    private static void argument(ThrowingCallable call, String message) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining(message);
    }

    private static void state(ThrowingCallable call, String message) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdStateException.class)
                .hasMessageContaining(message);
    }
}
