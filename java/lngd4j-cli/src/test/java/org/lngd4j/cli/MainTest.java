// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.train.CommandResult;

/** What all commands have in common. */
class MainTest {
    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "train --out DIR",
                "train --resume DIR",
                "train --model MODEL",
                "train --spark MASTER",
                "train --spark local --checkpoint FOLDER",
                "translate --run DIR",
                "compare --out DIR",
                "compare --target acc=X|bleu=X|loss=X|train-loss=X",
                "toys --out DIR",
                "fisher --out FILE",
                "bench --from FILE",
                "selftest --golden FILE_OR_DIR"
            })
    void anEmptyValueIsOneLineThatNamesTheOption(String line) {
        String[] words = line.split(" ");
        String label = words[words.length - 1];
        for (String blank : List.of("", " ")) {
            words[words.length - 1] = blank;
            CommandResult result = CommandResult.of(words);

            assertThat(result.status()).isEqualTo(2);
            assertThat(result.err())
                    .isEqualTo(
                            "lngd: %s is empty, allowed is %s (see lngd %s --help)\n"
                                    .formatted(words[words.length - 2], label, words[0]));
        }
    }

    @Test
    void whatDoesNotFitIntoTheHeapIsOneLineThatSaysHowToGetMore() throws Exception {
        Path data = folder.resolve("data");
        IdxWriter.dataset(data, 64, 32, 8, 4);
        Path images = data.resolve("train-images-idx3-ubyte");
        Files.write(images, IdxWriter.idx(new byte[0], 1 << 17, 32, 32));
        try (RandomAccessFile sparse = new RandomAccessFile(images.toFile(), "rw")) {
            sparse.setLength(16 + (1L << 27));
        }
        assertThat(trainWith("-Xmx48m", data))
                .hasLineCount(1)
                .startsWith("lngd: " + images + ": its 134217728 bytes of data do not fit")
                .contains("LNGD_JAVA_OPTS=-Xmx8g");

        // Its length tells that it is cut off: nothing is read.
        try (RandomAccessFile sparse = new RandomAccessFile(images.toFile(), "rw")) {
            sparse.setLength(16 + (1L << 27) - 1);
        }
        assertThat(trainWith("-Xmx48m", data))
                .hasLineCount(1)
                .contains(
                        "truncated: its header promises 134217728 bytes of data, it holds 134217727");
    }

    private String trainWith(String option, Path data) throws IOException, InterruptedException {
        Path log = folder.resolve("log");
        Process process =
                new ProcessBuilder(
                                System.getProperty("java.home") + "/bin/java",
                                option,
                                "-cp",
                                System.getProperty("java.class.path"),
                                "org.lngd4j.cli.Main",
                                "train",
                                "--data",
                                data.toString(),
                                "--out",
                                folder.resolve("run").toString())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(Files.readString(log)).isEqualTo(2);
        return Files.readString(log);
    }
}
