// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.File;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd;

/**
 * Finds and loads liblngd.so, its JNI part libjnilngd.so, and a private OpenBLAS for the CPU
 * backend.
 *
 * <p>The libraries are looked for in this order; the first place that works wins, and the reason of
 * every other is kept:
 *
 * <ol>
 *   <li>the folder named by the system property {@value #LIBRARY_PATH},
 *   <li>the folders of {@code java.library.path},
 *   <li>the {@code linux-x86_64} jar of this module (extracted to JavaCPP's cache folder).
 * </ol>
 *
 * <p>OpenBLAS is the file named by the system property {@value #OPENBLAS_PATH}, else a private copy
 * of the one in the {@code org.bytedeco:openblas} jar, else what the native library finds by
 * itself. It is a copy of our own because ND4J's instance has its own threads and core type, which
 * neither side may disturb.
 *
 * <p>All methods may be called by any thread at any time.
 */
public final class NativeLibrary {
    /** System property: a folder with liblngd.so and libjnilngd.so. */
    public static final String LIBRARY_PATH = "org.lngd4j.library.path";

    /** System property: the OpenBLAS library to use, a file. */
    public static final String OPENBLAS_PATH = "org.lngd4j.openblas.path";

    private static final String CORE = "lngd";
    private static final String JNI = "jnilngd";

    private static final String OTHER_FOLDER =
            " Another folder to unpack to is named with -Dorg.bytedeco.javacpp.cachedir=DIR";

    private static final List<LoadReport.Attempt> LIBRARY = new ArrayList<>();
    private static final List<LoadReport.Attempt> BLAS = new ArrayList<>();
    private static final Object BLAS_LOCK = new Object();
    private static volatile boolean loaded;
    private static boolean tried;
    private static boolean found;
    private static String version = "";
    private static Throwable failure;

    private NativeLibrary() {}

    /**
     * Loads the native libraries once; later calls cost one volatile read. A failure is final for
     * this JVM (a class whose initialiser failed cannot be tried again) and every later call throws
     * again with the same report. A missing OpenBLAS is no failure of this method: it is in the
     * report, and creating an optimizer on the CPU then tells.
     *
     * <p>The static initialisers of the generated classes call this method too.
     *
     * @throws LngdNativeLoadException with every path tried and its reason
     */
    public static void load() {
        if (loaded) {
            return;
        }
        // Linking needs JavaCPP's Pointer initialised and holds a lock that this initialiser takes:
        // it must come first.
        Pointer.maxBytes();
        findLibrary();
        // No lock is held here: this line may wait for another thread that is inside the
        // initialiser of lngd, and so
        // inside this method. With a lock held both would wait for ever. In that thread itself it
        // returns at once.
        int linked = lngd.lngd_version();
        synchronized (BLAS_LOCK) {
            if (!loaded) {
                finish(linked);
            }
        }
    }

    /**
     * What was tried and what came of it, without trying anything.
     *
     * @return the report; with empty lists before the first {@link #load()}
     */
    public static LoadReport report() {
        // Outside of the lock: a device that is being loaded holds its own.
        List<LoadReport.Attempt> devices = loaded ? DeviceLibrary.attempts() : List.of();
        synchronized (LIBRARY) {
            return new LoadReport(loaded, version, LIBRARY, BLAS, devices);
        }
    }

    private static void finish(int linked) {
        int expected =
                lngd.LNGD_VERSION_MAJOR << 16
                        | lngd.LNGD_VERSION_MINOR << 8
                        | lngd.LNGD_VERSION_PATCH;
        String name = Status.text(lngd.lngd_version_string());
        if (linked >> 8 != expected >> 8) {
            failure =
                    new UnsatisfiedLinkError(
                            "the library is of version "
                                    + name
                                    + ", these classes are of "
                                    + lngd.LNGD_VERSION_MAJOR
                                    + "."
                                    + lngd.LNGD_VERSION_MINOR);
            synchronized (LIBRARY) {
                LIBRARY.add(new LoadReport.Attempt("version", name, false, failure.getMessage()));
            }
            throw new LngdNativeLoadException(report(), failure);
        }
        TestedVersions.check();
        List<LoadReport.Attempt> blas = new ArrayList<>();
        OpenBlas.load(blas);
        synchronized (LIBRARY) {
            BLAS.addAll(blas);
            version = name;
            loaded = true;
        }
    }

    /**
     * Links liblngd and its JNI part without touching a generated class, whose initialiser would
     * come back here.
     */
    private static void findLibrary() {
        synchronized (LIBRARY) {
            if (!tried) {
                tried = true;
                found = tryAll();
            }
            if (!found) {
                throw new LngdNativeLoadException(report(), failure);
            }
        }
    }

    private static boolean tryAll() {
        String folder = System.getProperty(LIBRARY_PATH);
        if (folder != null && !folder.isEmpty() && tryFolder(LIBRARY_PATH, folder)) {
            return true;
        }
        for (String entry : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
            if (!entry.isEmpty() && tryFolder("java.library.path", entry)) {
                return true;
            }
        }
        return tryJar();
    }

    private static boolean tryFolder(String source, String folder) {
        Path core = Path.of(folder, System.mapLibraryName(CORE));
        Path jni = Path.of(folder, System.mapLibraryName(JNI));
        for (Path file : List.of(core, jni)) {
            if (!Files.isRegularFile(file)) {
                LIBRARY.add(
                        new LoadReport.Attempt(
                                source, folder, false, "no file " + file.getFileName()));
                return false;
            }
        }
        return link(source, folder, new URL[] {url(core)}, new URL[] {url(jni)});
    }

    private static boolean tryJar() {
        ClassProperties properties =
                Loader.loadProperties(lngd.class, Loader.loadProperties(), true);
        URL[] core = Loader.findLibrary(lngd.class, properties, CORE, false);
        URL[] jni = Loader.findLibrary(lngd.class, properties, JNI, false);
        String resources = "resources of the package " + lngd.class.getPackageName();
        if (core.length == 0 || jni.length == 0) {
            LIBRARY.add(
                    new LoadReport.Attempt(
                            "jar",
                            resources,
                            false,
                            "no natives for " + Loader.getPlatform() + " on the class path"));
            return false;
        }
        try {
            return link(
                    "jar",
                    resources,
                    new URL[] {url(extracted(core[0]))},
                    new URL[] {url(extracted(jni[0]))});
        } catch (IOException e) {
            LIBRARY.add(
                    new LoadReport.Attempt(
                            "jar", resources, false, OpenBlas.reason(e) + "." + OTHER_FOLDER));
            return false;
        }
    }

    /**
     * A file with the contents of {@code library}: itself, or a copy out of its jar. Each library
     * has a folder of its own version: one folder for all would serve a liblngd_cuda.so of another
     * build beside a liblngd.so that has not changed.
     */
    static Path extracted(URL library) throws IOException {
        if ("file".equals(library.getProtocol())) {
            try {
                return Path.of(library.toURI());
            } catch (URISyntaxException e) {
                throw new IOException(library + " is not a file", e);
            }
        }
        String path = library.getPath();
        Path folder =
                Loader.getCacheDir()
                        .toPath()
                        .resolve("lngd4j")
                        .resolve("natives-" + FileCache.fingerprint(library));
        return new FileCache(folder).file(path.substring(path.lastIndexOf('/') + 1), library);
    }

    private static boolean link(String source, String place, URL[] core, URL[] jni) {
        try {
            // Through JavaCPP's Loader, not System.load, since it knows the class loader to use.
            String file = Loader.loadLibrary(lngd.class, core, CORE);
            Loader.loadLibrary(lngd.class, jni, JNI);
            LIBRARY.add(new LoadReport.Attempt(source, file == null ? place : file, true, ""));
            return true;
        } catch (LinkageError | RuntimeException e) {
            failure = e;
            String reason = OpenBlas.reason(e);
            // What the dynamic linker says of it; no one thinks of mount options then.
            if (reason.contains("failed to map segment from shared object")) {
                reason += "; is its file system mounted noexec?" + OTHER_FOLDER;
            }
            LIBRARY.add(new LoadReport.Attempt(source, place, false, reason));
            return false;
        }
    }

    private static URL url(Path file) {
        try {
            return file.toAbsolutePath().toUri().toURL();
        } catch (MalformedURLException e) {
            throw new IllegalArgumentException("not a file: " + file, e);
        }
    }
}
