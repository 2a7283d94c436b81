// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.lngd4j.nativelib.global.lngd;

/**
 * Finds and loads the library of a device that is not part of liblngd.so. Nothing is extracted or
 * opened before a device is asked for, so that who trains on the CPU pays nothing for CUDA and
 * cannot be stopped by it.
 *
 * <p>It is looked for in this order; the first place that works wins, and the reason of every other
 * is in {@link NativeLibrary#report()}:
 *
 * <ol>
 *   <li>the file named by the system property {@value #CUDA_PATH} ({@value #EMULATED_PATH} for the
 *       emulator),
 *   <li>the file named by the environment variable {@code LNGD_CUDA_LIBRARY} ({@code
 *       LNGD_CUDA_EMULATED_LIBRARY}),
 *   <li>the folder named by the system property {@value NativeLibrary#LIBRARY_PATH},
 *   <li>the folders of {@code java.library.path},
 *   <li>the {@code linux-x86_64} jar of this module (extracted to JavaCPP's cache folder),
 *   <li>what the native library finds by itself: beside liblngd.so, on the linker's search path.
 * </ol>
 *
 * <p>All methods may be called by any thread at any time.
 */
public final class DeviceLibrary {
    /** System property: the file liblngd_cuda.so. */
    public static final String CUDA_PATH = "org.lngd4j.cuda.path";

    /** System property: the file liblngd_cuda_emulated.so. */
    public static final String EMULATED_PATH = "org.lngd4j.cuda.emulated.path";

    /**
     * Device nodes without which there is no driver to ask: of Linux, and of Linux under Windows.
     * Not /proc/driver/nvidia, which a container shows although it was given no device.
     */
    private static final List<String> NODES = List.of("dev/nvidiactl", "dev/dxg");

    private static final DeviceLibrary CUDA =
            new DeviceLibrary(lngd.LNGD_DEVICE_CUDA, "lngd_cuda", CUDA_PATH, "LNGD_CUDA_LIBRARY");
    private static final DeviceLibrary EMULATED =
            new DeviceLibrary(
                    lngd.LNGD_DEVICE_CUDA_EMULATED,
                    "lngd_cuda_emulated",
                    EMULATED_PATH,
                    "LNGD_CUDA_EMULATED_LIBRARY");

    private final int device;
    private final String name;
    private final String property;
    private final String variable;
    private final List<LoadReport.Attempt> attempts = new ArrayList<>();
    private boolean tried;
    private boolean found;

    private DeviceLibrary(int device, String name, String property, String variable) {
        this.device = device;
        this.name = name;
        this.property = property;
        this.variable = variable;
    }

    /**
     * Loads the library of a device once; later calls tell what came of it. Touches no device and
     * makes no CUDA context.
     *
     * @param device {@code LNGD_DEVICE_CUDA} or {@code LNGD_DEVICE_CUDA_EMULATED}
     * @return whether it is loaded; where it is not, {@link #attempts} has every reason. That a
     *     driver and a device are there too is told by {@code lngd_backend_info}
     * @throws LngdNativeLoadException if liblngd.so itself cannot be loaded
     */
    public static boolean load(int device) {
        NativeLibrary.load();
        return of(device).load();
    }

    /**
     * What was tried for a device and what came of it, without trying anything.
     *
     * @param device {@code LNGD_DEVICE_CUDA} or {@code LNGD_DEVICE_CUDA_EMULATED}
     * @return the attempts in the order they were made; empty before the first {@link #load}
     */
    public static List<LoadReport.Attempt> attempts(int device) {
        DeviceLibrary library = of(device);
        synchronized (library) {
            return List.copyOf(library.attempts);
        }
    }

    /**
     * Whether this machine may have a CUDA device: a look at the device nodes, which loads no
     * library, wakes no driver and takes microseconds; or somebody has named the library by hand
     * ({@value #CUDA_PATH}, {@code LNGD_CUDA_LIBRARY}) and wants it asked. True does not promise
     * that there is one.
     *
     * @return false if there is certainly none
     */
    public static boolean mayHaveCuda() {
        return CUDA.isNamed() || mayHaveCuda(Path.of("/"));
    }

    static boolean mayHaveCuda(Path root) {
        return NODES.stream().anyMatch(node -> Files.exists(root.resolve(node)));
    }

    static List<LoadReport.Attempt> attempts() {
        List<LoadReport.Attempt> all = new ArrayList<>(attempts(lngd.LNGD_DEVICE_CUDA));
        all.addAll(attempts(lngd.LNGD_DEVICE_CUDA_EMULATED));
        return all;
    }

    private static DeviceLibrary of(int device) {
        return switch (device) {
            case lngd.LNGD_DEVICE_CUDA -> CUDA;
            case lngd.LNGD_DEVICE_CUDA_EMULATED -> EMULATED;
            default ->
                    throw new LngdArgumentException(
                            "device is "
                                    + device
                                    + "; allowed is LNGD_DEVICE_CUDA (2) or LNGD_DEVICE_CUDA_EMULATED"
                                    + " (3)");
        };
    }

    private boolean isNamed() {
        String file = System.getProperty(property, "");
        return !file.isEmpty() || System.getenv().getOrDefault(variable, "").length() > 0;
    }

    private synchronized boolean load() {
        if (!tried) {
            tried = true;
            found = tryAll();
        }
        return found;
    }

    private boolean tryAll() {
        if (tryFile(property, System.getProperty(property))
                || tryFile(variable, System.getenv(variable))
                || tryFolder(
                        NativeLibrary.LIBRARY_PATH,
                        System.getProperty(NativeLibrary.LIBRARY_PATH))) {
            return true;
        }
        for (String entry : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
            if (tryFolder("java.library.path", entry)) {
                return true;
            }
        }
        return tryJar()
                || tryFile("system", null, "beside liblngd.so and the linker's search path");
    }

    private boolean tryFile(String source, String file) {
        return file != null && !file.isEmpty() && tryFile(source, file, file);
    }

    private boolean tryFolder(String source, String folder) {
        if (folder == null || folder.isEmpty()) {
            return false;
        }
        Path file = Path.of(folder, System.mapLibraryName(name));
        if (!Files.isRegularFile(file)) {
            attempts.add(
                    new LoadReport.Attempt(source, folder, false, "no file " + file.getFileName()));
            return false;
        }
        return tryFile(source, file.toString());
    }

    private boolean tryJar() {
        String file = System.mapLibraryName(name);
        String resource = Loader.getPlatform() + "/" + file;
        URL url = lngd.class.getResource(resource);
        if (url == null) {
            attempts.add(
                    new LoadReport.Attempt(
                            "jar",
                            "resources of the package " + lngd.class.getPackageName(),
                            false,
                            "no " + resource + ": it was built without it"));
            return false;
        }
        try {
            return tryFile("jar", NativeLibrary.extracted(url).toString());
        } catch (IOException e) {
            attempts.add(new LoadReport.Attempt("jar", url.toString(), false, OpenBlas.reason(e)));
            return false;
        }
    }

    /** {@code path} null: the native library's own search. */
    private boolean tryFile(String source, String path, String shown) {
        int status =
                path == null
                        ? lngd.lngd_load_backend(device, (BytePointer) null)
                        : lngd.lngd_load_backend(device, path);
        boolean success = status == lngd.LNGD_OK;
        String reason = success ? "" : Status.text(lngd.lngd_last_error());
        attempts.add(new LoadReport.Attempt(source, shown, success, reason));
        return success;
    }
}
