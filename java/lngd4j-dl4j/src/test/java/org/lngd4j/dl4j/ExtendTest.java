// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.Schedule;
import org.lngd4j.Setting;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A run that goes on for longer than it was told. */
@SuppressWarnings("try") // attachments that are only opened and closed
class ExtendTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(4).statisticsInterval(2).inverseInterval(2).build();

    @TempDir private Path folder;

    private static void fit(MultiLayerNetwork net, int from, int to) {
        for (int t = from; t < to; t++) {
            net.fit(Nets.data(32, t, 1));
        }
    }

    /** What it means, in numbers: the schedule and the tau of 10 steps from the fifth step on. */
    @Test
    void goesOnAsTheLongerRunWould() throws IOException {
        Path file = folder.resolve("four.zip");
        MultiLayerNetwork extended = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(extended, OPTIONS)) {
            fit(extended, 0, 4);
            lngd.save(file);
            INDArray end = extended.params().dup();
            fit(extended, 90, 92);
            assertThat(extended.params()).isEqualTo(end);
            lngd.extend(6);
            assertThat(lngd.options().schedule()).isEqualTo(Schedule.cosine(10));
            fit(extended, 4, 10);
            assertThat(lngd.steps()).isEqualTo(10);
            assertThat(lngd.stepsPastEnd()).isEqualTo(2);
            fit(extended, 90, 91);
            assertThat(lngd.stepsPastEnd()).isEqualTo(3);
        }
        MultiLayerNetwork told = Nets.mlp();
        LngdOptions ten = OPTIONS.toBuilder().schedule(Schedule.cosine(10)).build();
        try (LngdTraining lngd = Lngd.attach(told, ten)) {
            lngd.restore(file);
            double tau = lngd.optimizer().get(Setting.TRUST_RATIO);
            double ratio =
                    LngdOptions.recipe(10).build().trustRatio()
                            / LngdOptions.recipe(4).build().trustRatio();
            lngd.optimizer().set(Setting.TRUST_RATIO, tau * ratio);
            fit(told, 4, 10);
        }
        assertThat(extended.params().toFloatVector()).isEqualTo(told.params().toFloatVector());
    }

    @Test
    void isSavedAndRestored() throws IOException {
        AttachOptions attach = AttachOptions.defaults().leaveAverages(false);
        Path before = folder.resolve("before.zip");
        Path after = folder.resolve("after.zip");
        MultiLayerNetwork straight = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS, attach)) {
            fit(straight, 0, 3);
            lngd.save(before);
            lngd.extend(2);
            lngd.extend(3);
            fit(straight, 3, 5);
            lngd.save(after);
            fit(straight, 5, 9);
        }
        MultiLayerNetwork resumed = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(resumed, OPTIONS, attach)) {
            lngd.restore(after);
            assertThat(lngd.options().schedule().end()).isEqualTo(9);
            fit(resumed, 5, 9);
            assertThat(resumed.params().toFloatVector())
                    .isEqualTo(straight.params().toFloatVector());
            lngd.restore(before); // of a time when it was not extended
            assertThat(lngd.options()).isEqualTo(OPTIONS);
        }
    }

    @Test
    void badLengthsAreRefusedByName() {
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> lngd.extend(0))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("steps is 0");
            assertThatThrownBy(() -> lngd.extend(-3)).hasMessageContaining("steps is -3");
            assertThat(lngd.options()).isEqualTo(OPTIONS);
        }
        LngdOptions endless = OPTIONS.toBuilder().schedule(Schedule.constant(1)).build();
        try (LngdTraining lngd = Lngd.attach(net, endless)) {
            assertThatThrownBy(() -> lngd.extend(3))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("schedule is constant(1.0)");
        }
    }

    @Test
    void anExtendedRunIsNotRestoredUnderAnotherLength() throws IOException {
        Path file = folder.resolve("extended.zip");
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 2);
            lngd.extend(4);
            lngd.save(file);
        }
        INDArray weights = net.params().dup();
        LngdOptions eight = OPTIONS.toBuilder().schedule(Schedule.cosine(8)).build();
        try (LngdTraining lngd = Lngd.attach(net, eight)) {
            assertThatThrownBy(() -> lngd.restore(file))
                    .isInstanceOf(LngdStateDataException.class)
                    .hasMessageContaining("told 4 steps and extended by 4")
                    .hasMessageContaining("tell 8");
            assertThat(net.params()).isEqualTo(weights);
            assertThat(lngd.options()).isEqualTo(eight);
        }
    }

    /** Files of before there was a length in them. */
    @Test
    void oldFilesAreRead() throws IOException {
        Path now = folder.resolve("now.zip");
        Path old = folder.resolve("old.zip");
        MultiLayerNetwork net = Nets.mlp();
        INDArray straight;
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 2);
            lngd.save(now);
            fit(net, 2, 4);
            straight = net.params().dup();
        }
        inFormat1(now, old);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            lngd.restore(old);
            assertThat(lngd.steps()).isEqualTo(2);
            fit(net, 2, 4);
            assertThat(net.params()).isEqualTo(straight);
        }
    }

    /** Format 1: magic, format, steps, three counters, then the arrays. */
    private static void inFormat1(Path from, Path to) throws IOException {
        try (ZipFile in = new ZipFile(from.toFile());
                OutputStream file = Files.newOutputStream(to);
                ZipOutputStream out = new ZipOutputStream(file)) {
            for (Enumeration<? extends ZipEntry> e = in.entries(); e.hasMoreElements(); ) {
                ZipEntry entry = e.nextElement();
                byte[] bytes = in.getInputStream(entry).readAllBytes();
                if (entry.getName().equals("lngd/training")) {
                    int head = 2 * Integer.BYTES + Long.BYTES + 3 * Integer.BYTES;
                    int length = 2 * Long.BYTES;
                    bytes =
                            ByteBuffer.allocate(bytes.length - length)
                                    .put(bytes, 0, head)
                                    .put(bytes, head + length, bytes.length - head - length)
                                    .putInt(Integer.BYTES, 1)
                                    .array();
                }
                out.putNextEntry(new ZipEntry(entry.getName()));
                out.write(bytes);
            }
        }
    }
}
