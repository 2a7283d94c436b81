// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.lngd4j.Schedule;
import org.lngd4j.Setting;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateDataException;

/** A run that goes on for longer than it was told. */
@SuppressWarnings("try") // scopes that are only opened and closed
class ExtendTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(4).statisticsInterval(2).inverseInterval(2).build();

    /** What it means, in numbers: the schedule and the tau of 10 steps from the fifth step on. */
    @Test
    void goesOnAsTheLongerRunWould() {
        Nets.Mlp extended = new Nets.Mlp(1);
        Nets.Mlp told = new Nets.Mlp(2);
        byte[] four;
        try (LngdTorch lngd = LngdTorch.attach(extended, OPTIONS).leaveAverages(false)) {
            Nets.train(extended, lngd, 0, 4);
            four = lngd.saveState();
            copy(extended, told);
            float[] end = Nets.weights(extended);
            Nets.train(extended, lngd, 90, 92);
            assertThat(Nets.weights(extended)).containsExactly(end);
            lngd.extend(6);
            assertThat(lngd.options().schedule()).isEqualTo(Schedule.cosine(10));
            Nets.train(extended, lngd, 4, 10);
            assertThat(lngd.steps()).isEqualTo(10);
            assertThat(lngd.stepsPastEnd()).isEqualTo(2);
        }
        LngdOptions ten = OPTIONS.toBuilder().schedule(Schedule.cosine(10)).build();
        try (LngdTorch lngd = LngdTorch.attach(told, ten).leaveAverages(false)) {
            lngd.restoreState(four);
            double tau = lngd.optimizer().get(Setting.TRUST_RATIO);
            double ratio =
                    LngdOptions.recipe(10).build().trustRatio()
                            / LngdOptions.recipe(4).build().trustRatio();
            lngd.optimizer().set(Setting.TRUST_RATIO, tau * ratio);
            Nets.train(told, lngd, 4, 10);
        }
        assertThat(Nets.weights(extended)).containsExactly(Nets.weights(told));
    }

    @Test
    void isInTheState() {
        Nets.Mlp straight = new Nets.Mlp(1);
        Nets.Mlp resumed = new Nets.Mlp(2);
        byte[] before;
        byte[] after;
        try (LngdTorch lngd = LngdTorch.attach(straight, OPTIONS).leaveAverages(false)) {
            Nets.train(straight, lngd, 0, 3);
            before = lngd.saveState();
            lngd.extend(2);
            lngd.extend(3);
            Nets.train(straight, lngd, 3, 5);
            after = lngd.saveState();
            copy(straight, resumed);
            Nets.train(straight, lngd, 5, 9);
        }
        try (LngdTorch lngd = LngdTorch.attach(resumed, OPTIONS).leaveAverages(false)) {
            LngdOptions own = lngd.options();
            lngd.restoreState(after);
            assertThat(lngd.options().schedule().end()).isEqualTo(9);
            Nets.train(resumed, lngd, 5, 9);
            assertThat(Nets.weights(resumed)).containsExactly(Nets.weights(straight));
            lngd.restoreState(before);
            assertThat(lngd.options()).isEqualTo(own);
            lngd.restoreState(inFormat1(before));
            assertThat(lngd.steps()).isEqualTo(3);
        }
        LngdOptions eight = OPTIONS.toBuilder().schedule(Schedule.cosine(8)).build();
        try (LngdTorch lngd = LngdTorch.attach(resumed, eight)) {
            assertThatThrownBy(() -> lngd.restoreState(after))
                    .isInstanceOf(LngdStateDataException.class)
                    .hasMessageContaining("told 4 steps and extended by 5")
                    .hasMessageContaining("tell 8");
            assertThat(lngd.steps()).isZero();
        }
    }

    @Test
    void badLengthsAreRefusedByName() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> lngd.extend(0))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("steps is 0");
            assertThat(lngd.options().schedule()).isEqualTo(OPTIONS.schedule());
        }
        LngdOptions endless = OPTIONS.toBuilder().schedule(Schedule.constant(1)).build();
        try (LngdTorch lngd = LngdTorch.attach(net, endless)) {
            assertThatThrownBy(() -> lngd.extend(3))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("schedule is constant(1.0)");
        }
    }

    /** Of before there was a length in it: magic, format, steps, epoch, the library's state. */
    private static byte[] inFormat1(byte[] state) {
        int head = 2 * Integer.BYTES + Long.BYTES + Integer.BYTES;
        int length = 2 * Long.BYTES;
        return ByteBuffer.allocate(state.length - length)
                .put(state, 0, head)
                .put(state, head + length, state.length - head - length)
                .putInt(Integer.BYTES, 1)
                .array();
    }

    private static void copy(Nets.Mlp from, Nets.Mlp to) {
        try (NoGradGuard guard = new NoGradGuard()) {
            TensorVector a = from.parameters();
            TensorVector b = to.parameters();
            for (long i = 0; i < a.size(); i++) {
                b.get(i).copy_(a.get(i));
            }
        }
    }
}
