// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SequentialImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.lngd4j.Activation;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.lngd4j.nativelib.LngdStateException;

/** What goes wrong is told by name, and changes nothing. */
@SuppressWarnings("try") // close() is called on purpose
class MisuseTest {
    private final Nets.Mlp net = new Nets.Mlp(1);
    private final LngdOptions options = LngdOptions.recipe(10).build();

    @Test
    void aStepNeedsABackwardPass() {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            float[] before = Nets.weights(net);
            assertThatThrownBy(lngd::step)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("first.weight")
                    .hasMessageContaining("backward()");
            assertThat(Nets.weights(net)).containsExactly(before);
            Nets.train(net, lngd, 0, 1);
            assertThatThrownBy(lngd::step).isInstanceOf(LngdStateException.class);
            assertThat(lngd.steps()).isEqualTo(1);
        }
    }

    @Test
    void aModelIsAttachedOnce() {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            assertThatThrownBy(() -> LngdTorch.attach(net, options))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("layer first");
            assertThatThrownBy(() -> net.first.activation(Activation.TANH))
                    .isInstanceOf(LngdStateException.class);
            Nets.train(net, lngd, 0, 1);
        }
        LngdTorch.attach(net, options).close();
    }

    @Test
    void nothingWorksAfterClose() {
        LngdTorch lngd = LngdTorch.attach(net, options);
        lngd.close();
        lngd.close();
        assertThatThrownBy(lngd::step).isInstanceOf(LngdHandleException.class);
        assertThatThrownBy(lngd::saveState).isInstanceOf(LngdHandleException.class);
        net.backward(Nets.inputs(1, 3, Nets.INPUTS), Nets.labels(1, 3)); // the layers go on
    }

    @Test
    void aGraphMayOutliveTheAttachment() {
        Tensor loss;
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Tensor logits = net.forward(Nets.inputs(1, 3, Nets.INPUTS));
            loss = torch.cross_entropy_loss(logits, Nets.labels(1, 3));
        }
        loss.backward();
        assertThat(net.first.weight().grad().defined()).isTrue();
    }

    @Test
    void trainingInAnotherThreadIsRefused() throws InterruptedException {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread other =
                    new Thread(
                            () -> {
                                try {
                                    Nets.train(net, lngd, 0, 1);
                                } catch (RuntimeException e) {
                                    thrown.set(e);
                                }
                            },
                            "other");
            other.start();
            other.join();
            assertThat(thrown.get())
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("thread other");
            net.zero_grad(true);
            Nets.train(net, lngd, 0, 1);
        }
    }

    /** A single one within as many steps as there are layers, a whole model at once. */
    @Test
    void aParameterThatWasMovedIsNamed() {
        try (LngdTorch lngd = LngdTorch.attach(net, options).leaveAverages(false)) {
            Nets.train(net, lngd, 0, 1);
            net.second.weight().set_data(torch.zeros(Nets.CLASSES, Nets.HIDDEN));
            assertThatThrownBy(() -> Nets.train(net, lngd, 1, 3))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("second.weight");
            assertThatThrownBy(lngd::averagedWeights)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("second.weight");
        }
        Nets.Mlp whole = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(whole, options).leaveAverages(false)) {
            Nets.train(whole, lngd, 0, 1);
            whole.to(torch.ScalarType.Double, false);
            whole.to(torch.ScalarType.Float, false);
            float[] before = Nets.weights(whole);
            assertThatThrownBy(() -> Nets.train(whole, lngd, 1, 2))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("first.weight");
            assertThat(Nets.weights(whole)).containsExactly(before);
        }
    }

    @Test
    void anotherTypeIsNamed() {
        net.to(torch.ScalarType.Double, false);
        assertThatThrownBy(() -> LngdTorch.attach(net, options))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("first.weight")
                .hasMessageContaining("Double");
    }

    @Test
    void whatIsNotToldIsAskedFor() {
        Module untold = new Module("untold");
        untold.register_module("one", new LngdLinear(3, 2));
        assertThatThrownBy(() -> LngdTorch.attach(untold, options))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("one")
                .hasMessageContaining("activation");
        assertThatThrownBy(() -> LngdTorch.attach(untold, LngdOptions.blockKronecker(10).build()))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("no layer is an output");
        assertThatThrownBy(() -> LngdTorch.attach(null, options)).hasMessageContaining("model");
        assertThatThrownBy(() -> LngdTorch.attach(net, null)).hasMessageContaining("options");
        assertThatThrownBy(() -> net.first.output(null)).hasMessageContaining("output");
    }

    @Test
    void aModelWithoutOurLayersSaysWhy() {
        SequentialImpl sequential = new SequentialImpl();
        sequential.push_back(new LngdLinear(3, 2).output(OutputModel.SOFTMAX));
        assertThatThrownBy(() -> LngdTorch.attach(sequential, options))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("0.weight")
                .hasMessageContaining("SequentialImpl");
    }

    @Test
    void aBatchNeedsAnAxisOfSamples() {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            assertThatThrownBy(() -> net.first.forward(Nets.inputs(1, Nets.INPUTS)))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("layer first has 1 axes, allowed are 2");
            Nets.train(net, lngd, 0, 1);
        }
    }

    @Test
    void averagesAreSwappedOnce() {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Nets.train(net, lngd, 0, 2);
            float[] before = Nets.weights(net);
            try (AveragedWeights averages = lngd.averagedWeights()) {
                assertThat(Nets.weights(net)).isNotEqualTo(before);
                assertThatThrownBy(lngd::averagedWeights).isInstanceOf(LngdStateException.class);
                assertThatThrownBy(lngd::saveState).isInstanceOf(LngdStateException.class);
                assertThatThrownBy(lngd::step)
                        .isInstanceOf(LngdStateException.class)
                        .hasMessageContaining("averaged weights");
                averages.close();
                averages.close();
            }
            assertThat(Nets.weights(net)).containsExactly(before);
        }
    }

    @Test
    void aForeignStateIsRefused() {
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Nets.train(net, lngd, 0, 2);
            byte[] state = lngd.saveState();
            assertThatThrownBy(() -> lngd.restoreState(new byte[3]))
                    .isInstanceOf(LngdStateDataException.class);
            byte[] damaged = state.clone();
            damaged[damaged.length / 2] ^= 1;
            assertThatThrownBy(() -> lngd.restoreState(damaged))
                    .isInstanceOf(LngdStateDataException.class);
            assertThat(lngd.steps()).isEqualTo(2);
            assertThat(lngd.saveState()).isEqualTo(state);
        }
    }

    @Test
    void pastTheEndOfTheScheduleNothingMoves() {
        try (LngdTorch lngd = LngdTorch.attach(net, LngdOptions.recipe(2).build())) {
            Nets.train(net, lngd, 0, 2);
            float[] before = Nets.weights(net);
            Nets.train(net, lngd, 2, 4);
            assertThat(Nets.weights(net)).containsExactly(before);
            assertThat(lngd.stepsPastEnd()).isEqualTo(2);
        }
    }
}
