// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.train.Checkpoint.Position;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

class CheckpointTest {
    private static final TrainSettings SETTINGS =
            new TrainSettings(
                    null,
                    "mlp",
                    null,
                    OptimizerKind.SGD,
                    null,
                    2,
                    8,
                    1,
                    "auto",
                    1,
                    0.5,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    LngdSettings.NONE,
                    TextSettings.NONE);
    private static final Position POSITION = new Position(77, 123_456_789_012_345L, 0.1 + 0.2, 3);
    private static final INDArray WEIGHTS =
            Nd4j.createFromArray(new float[][] {{1, Float.MIN_VALUE, -0f, 1e38f}});

    @TempDir Path folder;

    @Test
    void everyBitComesBack() throws IOException {
        Path file = written();
        Checkpoint read = Checkpoint.read(file);

        assertThat(read.settings()).isEqualTo(SETTINGS);
        assertThat(read.network()).isEqualTo("4-2");
        assertThat(read.position()).isEqualTo(POSITION);
        assertThat(read.weights().toFloatVector()).isEqualTo(WEIGHTS.toFloatVector());
        assertThat(read.method()).containsExactly(1, 2, 3);
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void aDamagedFileIsRefused() throws IOException {
        Path file = written();
        byte[] good = Files.readAllBytes(file);
        int refused = 0;
        for (int i = 0; i < good.length; i++) {
            byte[] damaged = good.clone();
            damaged[i] ^= 0x10;
            Files.write(file, damaged);
            try {
                Checkpoint read = Checkpoint.read(file);
                // A flip in a time stamp or an attribute of the zip changes nothing that is read.
                assertThat(read.position()).isEqualTo(POSITION);
                assertThat(read.settings()).isEqualTo(SETTINGS);
                assertThat(read.weights().toFloatVector()).isEqualTo(WEIGHTS.toFloatVector());
                assertThat(read.method()).containsExactly(1, 2, 3);
            } catch (CliException e) {
                assertThat(e).hasMessageContaining("not a usable checkpoint");
                refused++;
            }
        }
        assertThat(refused).isGreaterThan(good.length / 2);
    }

    @Test
    void aTruncatedOrAbsentFileIsRefused() throws IOException {
        Path file = written();
        byte[] good = Files.readAllBytes(file);
        for (int length : new int[] {0, 1, good.length / 2, good.length - 1}) {
            Files.write(file, Arrays.copyOf(good, length));
            assertThatThrownBy(() -> Checkpoint.read(file))
                    .hasMessageContaining("not a usable checkpoint");
        }
        Files.delete(file);
        assertThatThrownBy(() -> Checkpoint.read(file)).hasMessageContaining("no such checkpoint");
    }

    private Path written() throws IOException {
        Path file = folder.resolve(Checkpoint.FILE);
        new Checkpoint(SETTINGS, "4-2", POSITION, WEIGHTS, new byte[] {1, 2, 3}).write(file);
        return file;
    }
}
