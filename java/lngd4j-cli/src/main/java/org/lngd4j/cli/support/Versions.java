// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** Versions of this project, of the libraries it runs on and of the machine's software. */
public final class Versions {
    private Versions() {}

    /** By name; {@code unknown} where a jar does not tell. */
    public static Map<String, Object> all() {
        Map<String, Object> versions = new LinkedHashMap<>();
        versions.put("lngd4j", lngd4j());
        versions.put("nd4j", ofJar("org.nd4j", "nd4j-api"));
        versions.put("deeplearning4j", ofJar("org.deeplearning4j", "deeplearning4j-nn"));
        versions.put("javacpp", ofJar("org.bytedeco", "javacpp"));
        versions.put("openblas", ofJar("org.bytedeco", "openblas"));
        versions.put("pytorch", pytorch());
        versions.put("java", java());
        versions.put(
                "os",
                System.getProperty("os.name")
                        + " "
                        + System.getProperty("os.version")
                        + " "
                        + System.getProperty("os.arch"));
        return versions;
    }

    /** Whose convolutions run here: oneDNN's ({@code LNGD_ONEDNN=1 ./lngd}) or ND4J's own. */
    public static String convolutions() {
        return Boolean.getBoolean("org.lngd4j.onednn") ? "oneDNN" : "ND4J";
    }

    /** The Java that runs this. */
    public static String java() {
        return System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
    }

    /** The version of JavaCPP's presets of PyTorch. */
    public static String pytorch() {
        return ofJar("org.bytedeco", "pytorch");
    }

    /** The version of this command. */
    public static String lngd4j() {
        return ofJar("org.lngd4j", "lngd4j-cli");
    }

    private static String ofJar(String group, String artifact) {
        String name = "/META-INF/maven/" + group + "/" + artifact + "/pom.properties";
        try (InputStream in = Versions.class.getResourceAsStream(name)) {
            if (in == null) {
                return "unknown";
            }
            Properties properties = new Properties();
            properties.load(in);
            return properties.getProperty("version", "unknown");
        } catch (IOException e) {
            return "unknown";
        }
    }

    /** The commit of the working copy that this command was built in, or null outside of one. */
    public static String gitCommit() {
        // ./lngd asks git itself, which also knows whether files were changed.
        String told = System.getProperty("org.lngd4j.commit");
        if (told != null && !told.isBlank()) {
            return told;
        }
        try {
            Path here =
                    Path.of(
                            Versions.class
                                    .getProtectionDomain()
                                    .getCodeSource()
                                    .getLocation()
                                    .toURI());
            for (Path folder = here; folder != null; folder = folder.getParent()) {
                Path git = folder.resolve(".git");
                if (Files.isDirectory(git)) {
                    return commitOf(git);
                }
            }
            return null;
        } catch (IOException | URISyntaxException | RuntimeException e) {
            // A report must not fail because a repository is unusual.
            return null;
        }
    }

    // Reading three kinds of files is simpler than a process, and git need not be installed where
    // the command runs.
    private static String commitOf(Path git) throws IOException {
        String head = Files.readString(git.resolve("HEAD")).strip();
        if (!head.startsWith("ref: ")) {
            return head;
        }
        String ref = head.substring(5);
        Path loose = git.resolve(ref);
        if (Files.exists(loose)) {
            return Files.readString(loose).strip();
        }
        Path packed = git.resolve("packed-refs");
        List<String> lines = Files.exists(packed) ? Files.readAllLines(packed) : List.of();
        for (String line : lines) {
            if (line.endsWith(" " + ref)) {
                return line.substring(0, line.indexOf(' '));
            }
        }
        return null;
    }
}
