// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The versions that consumers are held to: those of this build, in the bill of materials too. */
class TestedVersionsTest {
    private static Properties of(String javacpp, String openblas) {
        Properties versions = new Properties();
        versions.setProperty("javacpp", javacpp);
        versions.setProperty("openblas", openblas);
        return versions;
    }

    @Test
    void thisBuildHasWhatItWasTestedWith() {
        assertThat(TestedVersions.tested()).hasSize(2).isEqualTo(TestedVersions.seen());
        assertThat(TestedVersions.problem(TestedVersions.tested(), TestedVersions.seen())).isNull();
    }

    @Test
    void othersAreTold() {
        String problem =
                TestedVersions.problem(of("1.5.13", "0.3.31-1.5.13"), of("1.5.7", "0.3.31-1.5.13"));
        assertThat(problem)
                .startsWith("org.bytedeco:javacpp is 1.5.7, tested is 1.5.13:")
                .contains("lngd4j-bom")
                .doesNotContain("openblas is");
        assertThat(TestedVersions.problem(of("1", "2"), new Properties())).isNull();
    }

    @Test
    void theBillOfMaterialsHasTheSame() throws Exception {
        String bom = Files.readString(Path.of("../lngd4j-bom/pom.xml"));
        Properties tested = TestedVersions.tested();
        for (String artifact : tested.stringPropertyNames()) {
            Matcher version = Pattern.compile("<" + artifact + ".version>(.*?)</").matcher(bom);
            assertThat(version.find()).isTrue();
            assertThat(version.group(1)).isEqualTo(tested.getProperty(artifact));
        }
        String parent = Files.readString(Path.of("../../pom.xml"));
        Matcher ours = Pattern.compile("<version>(.*?)</version>").matcher(parent);
        assertThat(ours.find()).isTrue();
        assertThat(bom).contains("<version>" + ours.group(1) + "</version>");
        Matcher torch = Pattern.compile("<pytorch.version>.*?</pytorch.version>").matcher(parent);
        assertThat(torch.find()).isTrue();
        assertThat(bom).contains(torch.group());
    }
}
