// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.lngd4j.cli.CliException;

/**
 * Finds Fashion-MNIST, or fetches it. In this order: the folder the user names (option or {@code
 * LNGD_DATA}), the folder of the installed Debian package, the user's cache, a download of the
 * official files, and the Debian package fetched without root. Where nothing works, one message
 * tells what was tried and why each try failed.
 *
 * <p>A folder the user names is taken at its word: if it is incomplete or damaged that is an error,
 * never a reason to go on with other data in silence.
 */
public final class FashionMnist {
    /** What {@code --data} calls this data set. */
    public static final String NAME = "fashion-mnist";

    /** The folder of Debian's package {@code dataset-fashion-mnist}. */
    static final Path SYSTEM_FOLDER = Path.of("/usr/share/datasets/fashion-mnist");

    /** The publisher's repository holds the same files as its (plain HTTP) download server. */
    static final URI OFFICIAL =
            URI.create(
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/");

    /** MD5 of each gzipped file, from the publisher's README. */
    static final Map<String, String> CHECKSUMS =
            Map.of(
                    "train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe",
                    "t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79",
                    "t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310");

    private static final Duration CONNECT = Duration.ofSeconds(5);
    private static final Duration READ = Duration.ofSeconds(15);
    private static final long MOST_BYTES = 64 << 20; // the largest has 26 MB
    private static final Duration APT = Duration.ofMinutes(3);

    private final Map<String, String> environment;
    private final Path systemFolder;
    private final URI official;
    private final Map<String, String> checksums;
    private final DebianPackage debian;
    private final Consumer<String> notice;

    /**
     * A finder for this machine.
     *
     * @param notice is told, in one line each, of what takes time
     */
    public FashionMnist(Consumer<String> notice) {
        this(
                System.getenv(),
                SYSTEM_FOLDER,
                OFFICIAL,
                CHECKSUMS,
                new DebianPackage("apt-get", "dpkg", APT),
                notice);
    }

    FashionMnist(
            Map<String, String> environment,
            Path systemFolder,
            URI official,
            Map<String, String> checksums,
            DebianPackage debian,
            Consumer<String> notice) {
        this.environment = environment;
        this.systemFolder = systemFolder;
        this.official = official;
        this.checksums = checksums;
        this.debian = debian;
        this.notice = notice;
    }

    /**
     * The folder with the four files.
     *
     * @param data the value of {@code --data}: {@value #NAME}, null (the same), or a folder
     */
    public Path locate(String data) {
        if (data != null && !data.equals(NAME)) {
            return Path.of(data);
        }
        String named = environment.get("LNGD_DATA");
        if (named != null && !named.isBlank()) {
            return Path.of(named);
        }
        List<String> tried = new ArrayList<>();
        tried.add("--data DIR and LNGD_DATA: not given");
        for (Path folder : List.of(systemFolder, cacheFolder())) {
            List<String> absent = Dataset.absentFiles(folder);
            if (absent.isEmpty()) {
                return folder;
            }
            tried.add(
                    folder
                            + ": "
                            + (Files.isDirectory(folder)
                                    ? "lacks " + String.join(", ", absent)
                                    : "absent"));
        }
        return fetch(tried);
    }

    /**
     * The user's cache: {@code $XDG_CACHE_HOME/lngd4j/fashion-mnist}, or under {@code ~/.cache}.
     */
    Path cacheFolder() {
        return CacheFolder.of(environment, NAME);
    }

    @SuppressWarnings("try") // the lock is only held
    private Path fetch(List<String> tried) {
        Path cache = cacheFolder();
        try {
            Files.createDirectories(cache);
        } catch (IOException e) {
            tried.add("cache " + cache + ": cannot be made (" + e + ")");
            throw notFound(tried);
        }
        try (FolderLock lock = FolderLock.of(cache, notice)) {
            return Dataset.absentFiles(cache).isEmpty() ? cache : fetch(cache, tried);
        } catch (IOException e) {
            tried.add("cache " + cache + ": cannot be locked (" + e + ")");
            throw notFound(tried);
        }
    }

    private Path fetch(Path cache, List<String> tried) {
        try {
            notice.accept("Fashion-MNIST: downloading 30 MB to " + cache);
            Download download = new Download(CONNECT, READ, MOST_BYTES);
            for (String name : Dataset.FILES) {
                Path target = cache.resolve(name + ".gz");
                if (!Files.isRegularFile(target)) {
                    download.fetch(
                            official.resolve(name + ".gz"), target, checksums.get(name + ".gz"));
                }
            }
            return cache;
        } catch (IOException e) {
            tried.add("download from " + official.getHost() + ": " + describe(e));
        }
        try {
            notice.accept(
                    "Fashion-MNIST: fetching Debian's package "
                            + DebianPackage.NAME
                            + " to "
                            + cache);
            debian.fetchInto(cache);
            return cache;
        } catch (IOException | CliException e) {
            tried.add("Debian package " + DebianPackage.NAME + ": " + describe(e));
        }
        throw notFound(tried);
    }

    private static String describe(Exception e) {
        String message = e.getMessage();
        String type = e.getClass().getSimpleName();
        return e.getClass() == IOException.class || e instanceof CliException
                ? message
                : type + " " + message;
    }

    private static CliException notFound(List<String> tried) {
        return CliException.badInput(
                "Fashion-MNIST was not found. Tried: "
                        + String.join("; ", tried)
                        + ". Put its four IDX files in a folder and name it with --data DIR or LNGD_DATA, or install "
                        + DebianPackage.NAME);
    }
}
