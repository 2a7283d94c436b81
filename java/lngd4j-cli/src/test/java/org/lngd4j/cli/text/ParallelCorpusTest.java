// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;

class ParallelCorpusTest {
    @TempDir private Path folder;

    private void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    private void writeAll() throws IOException {
        for (String part : new String[] {"train", "val", "test_2016_flickr"}) {
            write(part + ".en", "A dog.\nTwo dogs.\n" + part + "\n");
            write(part + ".de", "Ein Hund.\nZwei Hunde.\n" + part + "\n");
        }
    }

    @Test
    void readsPlainAndCompressedFiles() throws IOException {
        writeAll();
        Files.delete(folder.resolve("train.de"));
        try (OutputStream out =
                new GZIPOutputStream(Files.newOutputStream(folder.resolve("train.de.gz")))) {
            out.write("Ein Hund.\nZwei Hünde.\nX\n".getBytes(StandardCharsets.UTF_8));
        }
        ParallelCorpus corpus = ParallelCorpus.read(folder);
        assertThat(ParallelCorpus.isNamed(folder.toString())).isTrue();
        assertThat(corpus.training()).hasSize(3);
        assertThat(corpus.training().get(1))
                .isEqualTo(new ParallelCorpus.Pair("Two dogs.", "Zwei Hünde."));
        assertThat(corpus.test().get(2).source()).isEqualTo("test_2016_flickr");
        assertThat(corpus.withTraining("--train-samples", 2).training()).hasSize(2);
        assertThat(corpus.measuredOnValidation(2).test()).hasSize(2);
        assertThat(corpus.measuredOnValidation(99).test().get(2).target()).isEqualTo("val");
        assertThatThrownBy(() -> corpus.withTraining("--train-samples", 4))
                .hasMessage("--train-samples 4: there are only 3 training sentences");
    }

    @Test
    void whatIsWrongIsNamed() throws IOException {
        assertThatThrownBy(() -> ParallelCorpus.read(folder))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("no folder with train.en and train.de");
        writeAll();
        write("val.de", "Ein Hund.\n");
        refused("val.en has 3 lines, but ", "val.de has 1: line by line");
        write("val.de", "Ein Hund.\n\nval\n");
        refused("val.de: line 2 is blank");
        Files.write(folder.resolve("val.de"), new byte[] {'a', (byte) 0xfc, '\n'});
        refused("val.de: not UTF-8");
        Files.delete(folder.resolve("val.de"));
        refused("val.de.gz: no such file");
        Files.write(folder.resolve("val.de.gz"), new byte[] {1, 2, 3});
        refused("val.de.gz: cannot be read");
    }

    private void refused(String... parts) {
        assertThatThrownBy(() -> ParallelCorpus.read(folder))
                .isInstanceOf(CliException.class)
                .hasMessageContainingAll(parts);
    }
}
