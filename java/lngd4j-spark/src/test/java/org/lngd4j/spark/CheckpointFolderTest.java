// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.nativelib.LngdArgumentException;

/** Files of checkpoints. */
class CheckpointFolderTest {
    @TempDir Path parent;
    private CheckpointFolder folder;

    @BeforeEach
    void open() throws IOException {
        folder = new CheckpointFolder("file:" + parent.resolve("of run"), new Configuration());
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(parent.resolve("of run"))) {
            return files.map(f -> f.getFileName().toString())
                    .filter(f -> !f.endsWith(".crc"))
                    .sorted()
                    .toList();
        }
    }

    private byte[] read() throws IOException {
        try (InputStream in = folder.open(folder.last())) {
            return in.readAllBytes();
        }
    }

    @Test
    void theLastTwoAreKept() throws IOException {
        assertThat(folder.last()).isNull();
        for (long steps : new long[] {5, 10, 100, 20}) {
            folder.write(steps, "a", out -> out.write((int) steps));
        }
        assertThat(names()).containsExactly("step-000000000020.lngd", "step-000000000100.lngd");
        assertThat(read()).containsExactly(100);
    }

    @Test
    void onesThatAreNotWrittenToTheEndAreNotThere() throws IOException {
        folder.write(5, "a", out -> out.write(5));
        assertThatThrownBy(
                        () ->
                                folder.write(
                                        10,
                                        "a",
                                        out -> {
                                            out.write(10);
                                            throw new IOException("no space");
                                        }))
                .isInstanceOf(IOException.class)
                .hasMessage("no space");
        assertThat(names()).containsExactly("step-000000000005.lngd");
        assertThat(read()).containsExactly(5);
    }

    /** As an attempt does that was given up and has not ended yet. */
    @Test
    void oneThatIsThereAlreadyIsNoError() throws IOException {
        folder.write(5, "a", out -> out.write(5));
        folder.write(5, "b", out -> out.write(5));
        assertThat(names()).containsExactly("step-000000000005.lngd");
        assertThat(read()).containsExactly(5);
    }

    @Test
    void pathsAreMadeWhole() throws IOException {
        Configuration configuration = new Configuration();
        String whole = CheckpointFolder.qualified("target/a folder", configuration);
        assertThat(whole).startsWith("file:/").endsWith("/target/a folder");
        assertThat(Path.of(whole.substring("file:".length()))).isDirectory();
        Files.writeString(parent.resolve("file"), "");
        String below = parent.resolve("file/folder").toString();
        assertThatThrownBy(() -> CheckpointFolder.qualified(below, configuration))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(
                        "checkpoint folder is " + below + ", which cannot be written");
        assertThatThrownBy(() -> CheckpointFolder.qualified("nowhere://x", configuration))
                .isInstanceOf(LngdArgumentException.class);
    }

    @Test
    void otherFilesAreLeftAlone() throws IOException {
        folder.write(5, "a", out -> out.write(5));
        Files.writeString(parent.resolve("of run/notes.txt"), "mine");
        Files.createDirectory(parent.resolve("of run/step-000000000099.lngd"));
        folder.write(6, "a", out -> out.write(6));
        folder.write(7, "a", out -> out.write(7));
        assertThat(read()).containsExactly(7);
        assertThat(names())
                .containsExactly(
                        "notes.txt",
                        "step-000000000006.lngd",
                        "step-000000000007.lngd",
                        "step-000000000099.lngd");
    }
}
