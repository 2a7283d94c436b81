// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.lngd4j.nativelib.global.lngd;

/** Gives the native library an OpenBLAS instance of its own. */
final class OpenBlas {
    private static final String RESOURCES = "/org/bytedeco/openblas/linux-x86_64/";

    /**
     * Of our copy, in its file name and in its SONAME: as long as the original, so that it fits
     * into its place.
     */
    private static final String NAME = "liblngdblas.so.0";

    /** The library first; the others are its dependencies, which it looks for in its own folder. */
    private static final List<String> FILES =
            List.of("libopenblas.so.0", "libgfortran.so.5", "libquadmath.so.0", "libgcc_s.so.1");

    private OpenBlas() {}

    /** Tries the places in order and adds each attempt to {@code attempts}; never throws. */
    static void load(List<LoadReport.Attempt> attempts) {
        String explicit = System.getProperty(NativeLibrary.OPENBLAS_PATH);
        if (explicit != null
                && !explicit.isEmpty()
                && loadFile(NativeLibrary.OPENBLAS_PATH, explicit, attempts)) {
            return;
        }
        // Not overruled by the jar: whoever sets the variable wants that file.
        String environment = System.getenv("LNGD_OPENBLAS");
        if (environment != null
                && !environment.isEmpty()
                && loadFile("LNGD_OPENBLAS", environment, attempts)) {
            return;
        }
        try {
            Path copy = privateCopy();
            if (loadFile("jar", copy.toString(), attempts)) {
                return;
            }
        } catch (IOException | RuntimeException e) {
            attempts.add(new LoadReport.Attempt("jar", RESOURCES + FILES.get(0), false, reason(e)));
        }
        loadFile("system", null, attempts);
    }

    private static boolean loadFile(String source, String path, List<LoadReport.Attempt> attempts) {
        int status =
                path == null ? lngd.lngd_load_blas((BytePointer) null) : lngd.lngd_load_blas(path);
        boolean success = status == lngd.LNGD_OK;
        String reason = success ? "" : Status.text(lngd.lngd_last_error());
        attempts.add(
                new LoadReport.Attempt(
                        source, path == null ? "the linker's search path" : path, success, reason));
        return success;
    }

    private static Path privateCopy() throws IOException {
        List<URL> sources = new ArrayList<>();
        StringBuilder key = new StringBuilder("openblas-renamed");
        for (String file : FILES) {
            URL url = OpenBlas.class.getResource(RESOURCES + file);
            if (url == null) {
                if (sources.isEmpty()) {
                    throw new IOException(
                            "not on the class path: the jar org.bytedeco:openblas for linux-x86_64");
                }
                continue;
            }
            sources.add(url);
            if (sources.size() == 1) {
                key.append('-').append(FileCache.fingerprint(url));
            }
        }
        FileCache cache =
                new FileCache(
                        Loader.getCacheDir().toPath().resolve("lngd4j").resolve(key.toString()));
        Path library = null;
        for (URL source : sources) {
            String path = source.getPath();
            String name = path.substring(path.lastIndexOf('/') + 1);
            if (library == null) {
                library = cache.file(NAME, source, copy -> Soname.replace(copy, NAME));
            } else {
                cache.file(name, source);
            }
        }
        return library;
    }

    /** The message of an error with those of its causes. */
    static String reason(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable e = error; e != null && text.length() < 2000; e = e.getCause()) {
            text.append(text.length() == 0 ? "" : "; caused by ").append(e);
        }
        return text.toString().replaceAll("\\s*\\R\\s*", " ");
    }
}
