package org.lngd4j.nativelib.presets;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * Tells JavaCPP how {@code lngd/lngd.h} becomes Java. It is run by the build only; the result is
 * {@code org.lngd4j.nativelib.global.lngd} and one class for each struct and handle beside it.
 *
 * <p>The class has the name of the library, in lower case, because JavaCPP derives names from it.
 */
@Properties(
        value =
                @Platform(
                        value = "linux-x86_64",
                        include = "lngd/lngd.h",
                        link = "lngd",
                        compiler = "cpp17"),
        target = "org.lngd4j.nativelib.global",
        global = "org.lngd4j.nativelib.global.lngd")
public class lngd implements InfoMapper {
    /** Used by JavaCPP's parser only. */
    public lngd() {}

    /**
     * Adds what the parser cannot know.
     *
     * @param infoMap the map to add to
     */
    @Override
    public void map(InfoMap infoMap) {
        infoMap.put(new Info("LNGD_API").cppTypes().annotations())
                .put(new Info("LNGD_LNGD_H").skip());
    }
}
