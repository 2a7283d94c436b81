// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.BytePointer;
import org.lngd4j.nativelib.DeviceLibrary;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LoadReport;
import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.Status;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_backend_description;

/**
 * What this machine offers: versions, backends with the reason where one is missing, processor,
 * BLAS, and how the native library was found.
 *
 * @param libraryVersion version of the native library; null if it could not be loaded
 * @param javaApiVersion version of the C ABI that these classes were made for
 * @param javaVersion the JVM
 * @param loadReport every path tried with its reason
 * @param backends what the native library says of its backends; empty if it could not be loaded
 */
public record LngdInfo(
        String libraryVersion,
        String javaApiVersion,
        String javaVersion,
        LoadReport loadReport,
        List<Backend> backends) {

    /**
     * One backend.
     *
     * @param device what it runs on
     * @param available whether an optimizer can use it now
     * @param reason why not; "" if it can
     * @param instructionSet CPU: kernels chosen at run time: avx512, avx2 or portable
     * @param cpuModel CPU: name of the processor
     * @param cpuFeatures CPU: features that matter here, space separated
     * @param blas CPU: configuration of OpenBLAS
     * @param blasCore CPU: core type that OpenBLAS chose
     * @param blasPath CPU: where OpenBLAS was loaded from
     * @param defaultThreads CPU: threads of an optimizer that asks for 0
     * @param cuda CUDA: library, driver and device; null for the CPU
     */
    public record Backend(
            Device device,
            boolean available,
            String reason,
            String instructionSet,
            String cpuModel,
            String cpuFeatures,
            String blas,
            String blasCore,
            String blasPath,
            int defaultThreads,
            Cuda cuda) {}

    /**
     * What is known of CUDA, whether it is available or not.
     *
     * @param library where the backend was loaded from; "" if it was not
     * @param driverVersion newest CUDA that the driver serves, for example "13.0"; "" if there is
     *     no driver
     * @param runtimeVersion CUDA runtime that is linked into the backend, for example "13.0"; "" if
     *     it was not loaded
     * @param devices number of devices
     * @param deviceName of device 0; "" if there is none
     * @param computeCapability of device 0, for example "9.0"; "" if there is none. 8.0 or later is
     *     needed
     * @param deviceMemory of device 0, bytes in all
     */
    public record Cuda(
            String library,
            String driverVersion,
            String runtimeVersion,
            int devices,
            String deviceName,
            String computeCapability,
            long deviceMemory) {
        static Cuda of(lngd_backend_description d) {
            return new Cuda(
                    text(d.library_path()),
                    version(d.driver_version()),
                    version(d.runtime_version()),
                    d.devices(),
                    text(d.device_name()),
                    d.compute_major() == 0 ? "" : d.compute_major() + "." + d.compute_minor(),
                    d.device_memory());
        }

        /** CUDA writes 12.9 as 12090. */
        private static String version(int number) {
            return number == 0 ? "" : number / 1000 + "." + number % 1000 / 10;
        }

        /**
         * Everything as texts and numbers, for a JSON writer.
         *
         * @return a new map in a fixed order
         */
        public Map<String, Object> asMap() {
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("library", library);
            m.put("driverVersion", driverVersion);
            m.put("runtimeVersion", runtimeVersion);
            m.put("devices", devices);
            m.put("deviceName", deviceName);
            m.put("computeCapability", computeCapability);
            m.put("deviceMemory", deviceMemory);
            return m;
        }

        /** What is known, one a line. */
        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            if (!library.isEmpty()) {
                String driver = driverVersion.isEmpty() ? "none" : driverVersion;
                text.append("  library   ").append(library);
                text.append("\n  driver    ").append(driver);
                text.append(", runtime ").append(runtimeVersion).append('\n');
            }
            if (devices > 0) {
                text.append("  device    ").append(deviceName);
                text.append(", compute capability ").append(computeCapability);
                text.append(", ").append(deviceMemory >> 20).append(" MiB; ");
                text.append(devices).append(devices == 1 ? " device\n" : " devices\n");
            }
            return text.toString();
        }
    }

    /**
     * Copies the list.
     *
     * @param libraryVersion version of the native library, or null
     * @param javaApiVersion version of the C ABI
     * @param javaVersion the JVM
     * @param loadReport every path tried
     * @param backends the backends
     */
    public LngdInfo {
        backends = List.copyOf(backends);
    }

    /**
     * Looks at this machine: the CPU, and CUDA, whose library is extracted and loaded for that.
     * Device 0 of CUDA, where there is one, is asked for known answers ({@link DeviceChoice}),
     * which takes some milliseconds and a CUDA context. Loads the native library if need be, and
     * never throws where something is missing: the report tells why.
     *
     * @return what was found
     */
    public static LngdInfo current() {
        String version = null;
        List<Backend> backends = new ArrayList<>();
        try {
            NativeLibrary.load();
            version = Status.text(lngd.lngd_version_string());
            DeviceChoice.of(LngdOptions.recipe(1).build()); // then CUDA's reason is known below
            for (Device device : List.of(Device.CPU, Device.CUDA)) {
                backends.add(backend(device));
            }
        } catch (LngdException | LinkageError e) {
            // Nothing is lost: the report, read below, has the reasons.
            backends.clear();
        }
        String api =
                lngd.LNGD_VERSION_MAJOR
                        + "."
                        + lngd.LNGD_VERSION_MINOR
                        + "."
                        + lngd.LNGD_VERSION_PATCH;
        String java =
                System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
        return new LngdInfo(version, api, java, NativeLibrary.report(), backends);
    }

    /**
     * Looks at one backend. Loads its library if need be, and makes no CUDA context: that a device
     * computes wrong answers is known after {@link #current}, {@link DeviceChoice} or an optimizer
     * has asked it.
     *
     * @param device which one; not {@link Device#AUTO}
     * @return what was found
     * @throws org.lngd4j.nativelib.LngdNativeLoadException if the native library cannot be loaded
     * @throws org.lngd4j.nativelib.LngdArgumentException for {@link Device#AUTO}
     */
    public static Backend backend(Device device) {
        NativeLibrary.load();
        boolean cuda =
                Check.notNull("device", device) == Device.CUDA || device == Device.CUDA_EMULATED;
        boolean loaded = !cuda || DeviceLibrary.load(device.code());
        try (lngd_backend_description d = new lngd_backend_description()) {
            d.struct_size(d.sizeof());
            Status.check(lngd.lngd_backend_info(device.code(), d));
            return new Backend(
                    device,
                    d.available() != 0,
                    loaded ? text(d.reason()) : reason(device),
                    text(d.instruction_set()),
                    text(d.cpu_model()),
                    text(d.cpu_features()),
                    text(d.blas()),
                    text(d.blas_core()),
                    text(d.blas_path()),
                    d.default_threads(),
                    cuda ? Cuda.of(d) : null);
        }
    }

    /**
     * Of the Java side, which looks in more places than the native library does; without the
     * folders of java.library.path that simply have no such file, which are in the report.
     */
    static String reason(Device device) {
        return "its library cannot be loaded: "
                + DeviceLibrary.attempts(device.code()).stream()
                        .filter(
                                a ->
                                        !a.source().equals("java.library.path")
                                                || !a.reason().startsWith("no file "))
                        .map(Object::toString)
                        .collect(Collectors.joining("; "));
    }

    private static String text(BytePointer chars) {
        return Status.text(chars);
    }

    /**
     * Everything as maps, lists, texts and numbers, for a JSON writer.
     *
     * @return a new map in a fixed order
     */
    public Map<String, Object> asMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("libraryVersion", libraryVersion);
        map.put("javaApiVersion", javaApiVersion);
        map.put("javaVersion", javaVersion);
        List<Object> list = new ArrayList<>();
        for (Backend b : backends) {
            Map<String, Object> m = new LinkedHashMap<>();
            m.put("device", b.device().name());
            m.put("available", b.available());
            m.put("reason", b.reason());
            if (b.device() == Device.CPU) {
                m.put("instructionSet", b.instructionSet());
                m.put("cpuModel", b.cpuModel());
                m.put("cpuFeatures", b.cpuFeatures());
                m.put("blas", b.blas());
                m.put("blasCore", b.blasCore());
                m.put("blasPath", b.blasPath());
                m.put("defaultThreads", b.defaultThreads());
            } else {
                m.putAll(b.cuda().asMap());
            }
            list.add(m);
        }
        map.put("backends", list);
        map.put("libraryAttempts", loadReport.library().stream().map(Object::toString).toList());
        map.put("blasAttempts", loadReport.blas().stream().map(Object::toString).toList());
        map.put("deviceAttempts", loadReport.devices().stream().map(Object::toString).toList());
        return map;
    }

    /** The same for a reader, several lines. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        text.append("liblngd ")
                .append(libraryVersion == null ? "could not be loaded" : libraryVersion);
        text.append(", Java API ")
                .append(javaApiVersion)
                .append(", ")
                .append(javaVersion)
                .append('\n');
        for (Backend b : backends) {
            text.append(b.device())
                    .append(b.available() ? ": available" : ": not available: " + b.reason())
                    .append('\n');
            if (b.device() == Device.CPU) {
                text.append("  processor ")
                        .append(b.cpuModel())
                        .append(", kernels ")
                        .append(b.instructionSet());
                text.append("\n  features  ").append(b.cpuFeatures());
                text.append("\n  threads   ").append(b.defaultThreads());
                text.append("\n  BLAS      ")
                        .append(b.blas())
                        .append(", core ")
                        .append(b.blasCore());
                text.append("\n            ").append(b.blasPath()).append('\n');
            } else {
                text.append(b.cuda());
            }
        }
        return text.append("looked for\n").append(loadReport.describe()).toString();
    }
}
