// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.tools.Logger;

/**
 * Whether JavaCPP and its OpenBLAS are the versions that the tests ran with. Maven takes the
 * version that a project names first, and beside DL4J that is one of 2022.
 */
final class TestedVersions {
    private static final String FILE = "tested-versions.properties";
    private static final List<String> ARTIFACTS = List.of("javacpp", "openblas");

    private TestedVersions() {}

    /** Warns where they are not, through JavaCPP's logger. */
    static void check() {
        String problem = problem(tested(), seen());
        if (problem != null) {
            Logger.create(NativeLibrary.class).warn(problem);
        }
    }

    /** One line; null where all is well, or nothing is known. */
    static String problem(Properties tested, Properties seen) {
        List<String> others = new ArrayList<>();
        for (String artifact : ARTIFACTS) {
            String wanted = tested.getProperty(artifact);
            String found = seen.getProperty(artifact);
            if (wanted != null && found != null && !wanted.equals(found)) {
                others.add("org.bytedeco:" + artifact + " is " + found + ", tested is " + wanted);
            }
        }
        return others.isEmpty()
                ? null
                : String.join("; ", others)
                        + ": import org.lngd4j:lngd4j-bom in <dependencyManagement>";
    }

    static Properties tested() {
        Properties versions = new Properties();
        try (InputStream in = TestedVersions.class.getResourceAsStream(FILE)) {
            if (in != null) {
                versions.load(in);
            }
        } catch (IOException e) {
            // Nothing is known, and a warning about that would help nobody.
        }
        return versions;
    }

    /** What is on the class path. */
    static Properties seen() {
        Properties versions = new Properties();
        for (String artifact : ARTIFACTS) {
            try {
                String version = Loader.getVersion("org.bytedeco", artifact);
                if (version != null) {
                    versions.setProperty(artifact, version);
                }
            } catch (IOException e) {
                // A jar without Maven's properties, as in an archive of everything.
            }
        }
        return versions;
    }
}
