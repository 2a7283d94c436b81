// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.AtomicFile;

/** {@code lngd bench --from FILE}: the results of a run as Markdown and as a picture. */
public final class BenchReport {
    private BenchReport() {}

    /**
     * Reads, and writes what is asked for. Everything is checked and made before the first file is
     * written.
     *
     * @param from what {@code lngd bench --json} wrote
     * @param table where the Markdown goes, null for none
     * @param plot where the PNG goes, null for none; without both the Markdown goes to {@code out}
     * @param error what is to be told about it
     * @throws CliException where one of the files is not what it should be
     */
    public static void write(Path from, Path table, Path plot, PrintStream out, PrintStream error) {
        BenchResults results = read(from);
        checkTargets(from, table, plot);
        String markdown = BenchTable.markdown(results);
        byte[] png = plot == null ? null : draw(from, results);
        if (!results.complete()) {
            error.println("lngd: " + from + " is partial: the run was not finished");
        }
        if (table != null) {
            save("--table", table, o -> o.write(markdown.getBytes(StandardCharsets.UTF_8)));
            error.println("lngd: table in " + table);
        }
        if (plot != null) {
            save("--plot", plot, o -> o.write(png));
            error.println("lngd: plot in " + plot);
        }
        if (table == null && plot == null) {
            out.print(markdown);
            out.flush();
        }
    }

    private static BenchResults read(Path from) {
        try {
            return BenchResults.parse(Files.readString(from));
        } catch (NoSuchFileException e) {
            throw CliException.badInput("--from " + from + ": there is no such file", e);
        } catch (CharacterCodingException e) {
            throw CliException.badInput("--from " + from + ": is not text in UTF-8", e);
        } catch (IOException e) {
            throw CliException.badInput("--from " + from + ": cannot be read (" + e + ")", e);
        } catch (IllegalArgumentException e) {
            throw CliException.badInput(
                    "--from " + from + ": not what lngd bench --json writes: " + e.getMessage(), e);
        }
    }

    private static byte[] draw(Path from, BenchResults results) {
        try {
            return BenchPlot.png(results);
        } catch (IllegalArgumentException e) {
            throw CliException.badInput("--plot: in " + from + " " + e.getMessage(), e);
        } catch (IOException e) {
            throw CliException.failure("--plot: cannot be drawn (" + e + ")", e);
        }
    }

    private static void checkTargets(Path from, Path table, Path plot) {
        // A pipe can be read, and is no file that could be written over.
        Path read = Files.isRegularFile(from) ? place("--from", from) : null;
        Path first = table == null ? null : place("--table", table);
        Path second = plot == null ? null : place("--plot", plot);
        if (read != null && read.equals(first)) {
            throw CliException.badInput("--table " + table + ": is the file that --from reads");
        }
        if (read != null && read.equals(second)) {
            throw CliException.badInput("--plot " + plot + ": is the file that --from reads");
        }
        if (first != null && first.equals(second)) {
            throw CliException.badInput("--plot " + plot + ": is the file that --table writes");
        }
    }

    /**
     * The one name of a file that is there or could be. Not a device: a file is replaced by
     * renaming, which would take /dev/stdout away.
     */
    private static Path place(String option, Path file) {
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw CliException.badInput(
                    option + " " + file + ": is not a file, allowed is a file's name");
        }
        try {
            return Files.exists(file)
                    ? file.toRealPath()
                    : file.toAbsolutePath().getParent().toRealPath().resolve(file.getFileName());
        } catch (IOException e) {
            throw CliException.badInput(
                    option + " " + file + ": its folder is not there or cannot be entered", e);
        }
    }

    private static void save(String option, Path file, AtomicFile.Content content) {
        try {
            // Not over a link: what it points to is replaced.
            AtomicFile.write(place(option, file), content);
        } catch (IOException e) {
            throw CliException.badInput(option + " " + file + ": cannot be written (" + e + ")", e);
        }
    }
}
