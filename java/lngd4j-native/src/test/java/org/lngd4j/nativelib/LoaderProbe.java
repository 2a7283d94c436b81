// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_layer_config;

/** Main class of the JVMs that {@link ChildJvm} starts, since a library is loaded once in a JVM. */
final class LoaderProbe {
    private LoaderProbe() {}

    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("race")) {
            race();
        }
        try {
            NativeLibrary.load();
            System.out.println("version " + Status.text(lngd.lngd_version_string()));
            for (String device : args) {
                load(device);
            }
        } catch (LngdNativeLoadException e) {
            System.out.println("threw " + e.getMessage());
        }
        System.out.println(NativeLibrary.report().describe());
        Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.matches(".*(lngd|blas|lngd_cuda|lngd_cuda_emulated)\\.so.*"))
                .map(line -> "mapped " + line.substring(line.indexOf('/')))
                .distinct()
                .forEach(System.out::println);
    }

    private static void load(String device) {
        int code =
                device.equals("cuda")
                        ? lngd.LNGD_DEVICE_CUDA
                        : device.equals("emulated") ? lngd.LNGD_DEVICE_CUDA_EMULATED : 0;
        if (code != 0) {
            System.out.println(device + " loaded " + DeviceLibrary.load(code));
        }
    }

    /**
     * The first use of four classes at once: their initialisers and the loader must not wait for
     * each other.
     */
    private static void race() throws InterruptedException {
        CountDownLatch start = new CountDownLatch(1);
        List<Runnable> uses =
                List.of(
                        NativeLibrary::load,
                        lngd::lngd_version,
                        () -> new lngd_config().close(),
                        () -> new lngd_layer_config().close());
        List<Thread> threads = new ArrayList<>();
        for (Runnable use : uses) {
            Thread thread =
                    new Thread(
                            () -> {
                                try {
                                    start.await();
                                    use.run();
                                    System.out.println("served");
                                } catch (InterruptedException e) {
                                    Thread.currentThread().interrupt();
                                }
                            });
            thread.start();
            threads.add(thread);
        }
        start.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
