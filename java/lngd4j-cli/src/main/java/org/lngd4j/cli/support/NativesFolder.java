// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TimeZone;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.CacheFolder;

/**
 * Where the command has JavaCPP unpack natives: {@code $XDG_CACHE_HOME/lngd4j/javacpp/ZONE}, or
 * under {@code ~/.cache}, unless the user has named a folder.
 *
 * <p>It is not the cache that all programs on JavaCPP share, since those write into it again at any
 * time: JavaCPP links {@code libgomp.so.1} of one jar to that of another, in the order in which a
 * process happened to load them, and a process of another order makes files of the links again,
 * also through a link into a library that others have mapped. In our folder no links are made. Each
 * time zone has a folder of its own, since JavaCPP unpacks again where the date of a file is not
 * that of its entry, and the dates in most jars are local times.
 */
public final class NativesFolder {
    /** JavaCPP's own name of the setting. */
    static final String PROPERTY = "org.bytedeco.javacpp.cachedir";

    private static final String LINKS = "org.bytedeco.javacpp.canCreateSymbolicLink";

    private NativesFolder() {}

    /** Tells JavaCPP, before anything of it is loaded. What a user has set stays. */
    public static void choose() {
        if (System.getProperty(PROPERTY) == null) {
            String zone = TimeZone.getDefault().getID().replaceAll("[^A-Za-z0-9+-]", "_");
            System.setProperty(
                    PROPERTY, CacheFolder.of(System.getenv(), "javacpp").resolve(zone).toString());
        }
        if (System.getProperty(LINKS) == null) {
            System.setProperty(LINKS, "false");
        }
    }

    /**
     * The folder, made and found fit to unpack to and load from.
     *
     * @throws CliException where it is not, in one line that names the setting
     */
    static Path checked() {
        String named = System.getProperty(PROPERTY);
        if (named == null || named.isBlank()) {
            throw unfit("\"\"", "no folder is named");
        }
        Path folder = Path.of(named);
        try {
            Files.createDirectories(folder);
            // Not Files.isWritable: root may write everywhere but on what is mounted read-only.
            Files.delete(Files.createTempFile(folder, ".lngd", ".try"));
            if (isNoexec(folder.toRealPath(), Files.readAllLines(Path.of("/proc/self/mounts")))) {
                throw unfit(named, "its file system is mounted noexec");
            }
        } catch (IOException e) {
            throw unfit(named, e.toString());
        }
        return folder;
    }

    /**
     * Whether the file system of a folder is mounted noexec: no library can be loaded from there.
     *
     * @param mounts lines of {@code /proc/mounts}: device, folder, type, options; in a folder's
     *     name a blank is {@code \040}
     */
    static boolean isNoexec(Path folder, List<String> mounts) {
        int depth = -1;
        boolean noexec = false;
        for (String line : mounts) {
            String[] fields = line.split(" ");
            if (fields.length < 4) {
                continue;
            }
            Path mounted = Path.of(fields[1].replace("\\040", " ").replace("\\011", "\t"));
            // A later mount on the same folder hides the one before.
            if (folder.startsWith(mounted) && mounted.getNameCount() >= depth) {
                depth = mounted.getNameCount();
                noexec = List.of(fields[3].split(",")).contains("noexec");
            }
        }
        return noexec;
    }

    private static CliException unfit(String folder, String why) {
        return CliException.failure(
                "natives cannot be unpacked to "
                        + folder
                        + " ("
                        + why
                        + "); name another folder with LNGD_JAVA_OPTS=-D"
                        + PROPERTY
                        + "=DIR");
    }
}
