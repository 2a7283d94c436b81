// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;

/**
 * Whether JavaCPP's CUDA presets ({@code org.bytedeco:cuda}) are there. They are optional: LNGD's
 * CUDA backend does not use them, programs that bring their own streams and device memory may. This
 * class refers to none of theirs, so that it can be used where they are missing.
 *
 * @param onClassPath whether their classes are on the class path
 * @param version their version, for example 13.1-9.19-1.5.13; "" if it is not known
 * @param problem why their native part cannot be used; "" if it can
 */
public record CudaPresets(boolean onClassPath, String version, String problem) {
    private static final String RUNTIME = "org.bytedeco.cuda.global.cudart";
    private static final String PROPERTIES = "/META-INF/maven/org.bytedeco/cuda/pom.properties";

    /**
     * Looks for them, and tries to load their native part where they are there. That may take a
     * second and needs libcuda.so.1, the driver's library; it is a part of {@code lngd info} only.
     *
     * @return what was found; never throws
     */
    public static CudaPresets look() {
        return look(CudaPresets.class.getClassLoader());
    }

    static CudaPresets look(ClassLoader loader) {
        try {
            Class.forName(RUNTIME, false, loader);
        } catch (ClassNotFoundException | LinkageError e) {
            return new CudaPresets(false, "", "not on the class path");
        }
        try {
            Class.forName(RUNTIME, true, loader);
            return new CudaPresets(true, jarVersion(), "");
        } catch (ClassNotFoundException | LinkageError | RuntimeException e) {
            Throwable cause = e instanceof ExceptionInInitializerError ? e.getCause() : e;
            return new CudaPresets(true, jarVersion(), String.valueOf(cause));
        }
    }

    private static String jarVersion() {
        try (InputStream in = CudaPresets.class.getResourceAsStream(PROPERTIES)) {
            Properties properties = new Properties();
            if (in != null) {
                properties.load(in);
            }
            return properties.getProperty("version", "");
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public String toString() {
        if (!onClassPath) {
            return "not on the class path (optional: org.bytedeco:cuda)";
        }
        String name = version.isEmpty() ? "on the class path" : version;
        return problem.isEmpty() ? name + ", usable" : name + ", not usable: " + problem;
    }
}
