// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.nio.file.Path;
import java.util.Map;

/** The user's cache: {@code $XDG_CACHE_HOME/lngd4j/NAME}, or under {@code ~/.cache}. */
public final class CacheFolder {
    private CacheFolder() {}

    /** The folder of a data set; it need not be there. */
    public static Path of(Map<String, String> environment, String name) {
        String cache = environment.get("XDG_CACHE_HOME");
        // The XDG specification has relative paths ignored.
        Path root =
                cache != null && cache.startsWith("/")
                        ? Path.of(cache)
                        : Path.of(
                                environment.getOrDefault("HOME", System.getProperty("user.home")),
                                ".cache");
        return root.resolve("lngd4j").resolve(name);
    }
}
