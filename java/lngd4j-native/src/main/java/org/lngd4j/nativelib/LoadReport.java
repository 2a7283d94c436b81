// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.util.List;

/**
 * What happened when the native libraries were looked for. Nothing is swallowed: each path tried is
 * here, with its reason where it failed.
 *
 * @param loaded true if the native library is usable
 * @param version version of the native library, or "" if it is not loaded
 * @param library the attempts for liblngd.so with its JNI part, in the order they were made
 * @param blas the attempts for the private OpenBLAS of the CPU backend, in the order they were made
 * @param devices the attempts for the libraries of other devices; empty before one was asked for
 */
public record LoadReport(
        boolean loaded,
        String version,
        List<Attempt> library,
        List<Attempt> blas,
        List<Attempt> devices) {

    /**
     * One attempt to load something.
     *
     * @param source where the path comes from: a system property's name, "java.library.path" or
     *     "jar"
     * @param path the file or folder tried
     * @param success whether it was loaded
     * @param reason why it failed; "" if it did not
     */
    public record Attempt(String source, String path, boolean success, String reason) {
        @Override
        public String toString() {
            return source + ": " + path + (success ? ": loaded" : ": " + reason);
        }
    }

    /**
     * Copies the lists, since the caller goes on with its own.
     *
     * @param loaded true if the native library is usable
     * @param version its version, or ""
     * @param library attempts for liblngd.so
     * @param blas attempts for OpenBLAS
     * @param devices attempts for the libraries of other devices
     */
    public LoadReport {
        library = List.copyOf(library);
        blas = List.copyOf(blas);
        devices = List.copyOf(devices);
    }

    /**
     * The attempts as text, one a line, each indented by two blanks.
     *
     * @return the text, without a final line end
     */
    public String describe() {
        StringBuilder text = new StringBuilder();
        append(text, "liblngd", library);
        append(text, "openblas", blas);
        append(text, "device", devices);
        return text.length() == 0
                ? "  nothing was tried yet"
                : text.substring(0, text.length() - 1);
    }

    private static void append(StringBuilder text, String what, List<Attempt> attempts) {
        for (Attempt attempt : attempts) {
            text.append("  ").append(what).append(" from ").append(attempt).append('\n');
        }
    }
}
