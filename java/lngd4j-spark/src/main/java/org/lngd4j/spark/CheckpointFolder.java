// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.BufferedOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Checkpoints in a folder of a file system of Hadoop's: files by the number of steps. A file is
 * written under another name and renamed, so that none is ever half there; on an object store,
 * where a rename copies, this holds as far as the store's own connector has it. The last two are
 * kept.
 */
final class CheckpointFolder {
    private static final Pattern NAME = Pattern.compile("step-(\\d{12})\\.lngd");
    private static final int KEPT = 2;
    private static final int BUFFER = 1 << 20;

    private final FileSystem files;
    private final Path folder;

    CheckpointFolder(String folder, Configuration configuration) throws IOException {
        this.folder = new Path(folder);
        this.files = this.folder.getFileSystem(configuration);
    }

    /**
     * The folder by its full name, made where it is not there yet: on the driver, so that executors
     * do not look for a relative path in their own working folders, and that one that cannot be
     * written is known before anything is trained.
     *
     * @throws LngdArgumentException if it cannot be made or written
     */
    static String qualified(String folder, Configuration configuration) {
        try {
            CheckpointFolder made = new CheckpointFolder(folder, configuration);
            made.files.mkdirs(made.folder);
            Path probe = new Path(made.folder, ".writing-probe");
            made.files.create(probe, true).close();
            made.files.delete(probe, false);
            return made.files.makeQualified(made.folder).toString();
        } catch (IOException | IllegalArgumentException e) {
            throw new LngdArgumentException(
                    "checkpoint folder is "
                            + folder
                            + ", which cannot be written: "
                            + e.getMessage()
                            + "; allowed is a folder in a file system of Hadoop's");
        }
    }

    /** What writes a checkpoint. */
    interface Content {
        void write(OutputStream out) throws IOException;
    }

    /** The one with the most steps; null if there is none. */
    Path last() throws IOException {
        List<Path> all = all();
        return all.isEmpty() ? null : all.get(all.size() - 1);
    }

    InputStream open(Path file) throws IOException {
        return files.open(file, BUFFER);
    }

    /**
     * Writes a checkpoint; earlier ones are there until this one is.
     *
     * @param attempt makes the temporary name that of this attempt alone: one that was given up may
     *     not have ended yet
     */
    void write(long steps, String attempt, Content content) throws IOException {
        files.mkdirs(folder);
        Path temporary = new Path(folder, ".writing-" + steps + "-" + attempt);
        Path last = new Path(folder, String.format("step-%012d.lngd", steps));
        try {
            try (OutputStream out =
                    new BufferedOutputStream(files.create(temporary, true), BUFFER)) {
                content.write(out);
            }
            // Where it is there already, an attempt before has written the same bits.
            if (!files.rename(temporary, last) && !files.exists(last)) {
                throw new IOException("could not rename " + temporary + " to " + last);
            }
        } finally {
            files.delete(temporary, false); // does nothing where it was renamed
        }
        List<Path> all = all();
        for (Path old : all.subList(0, Math.max(0, all.size() - KEPT))) {
            files.delete(old, false);
        }
    }

    private List<Path> all() throws IOException {
        List<Path> all = new ArrayList<>();
        try {
            for (FileStatus status : files.listStatus(folder)) {
                Matcher name = NAME.matcher(status.getPath().getName());
                if (status.isFile() && name.matches()) {
                    all.add(status.getPath());
                }
            }
        } catch (FileNotFoundException e) { // no folder, no checkpoint
            return all;
        }
        all.sort(Comparator.comparing(Path::getName)); // twelve digits each
        return all;
    }

    @Override
    public String toString() {
        return folder.toString();
    }
}
