// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What ranks must have in common, as text, and in what two of them differ. */
final class Agreement {
    /** Differences that one message shows, so that it stays readable. */
    private static final int MOST_SHOWN = 12;

    private Agreement() {}

    /** One fact a line, name and value with a tab between. */
    static String text(Map<String, String> facts) {
        StringBuilder text = new StringBuilder();
        facts.forEach(
                (k, v) -> text.append(oneLine(k)).append('\t').append(oneLine(v)).append('\n'));
        return text.toString();
    }

    private static String oneLine(String s) {
        return s.replaceAll("[\\t\\r\\n]+", " ");
    }

    /** A hash in the place of long texts, since all ranks as a rule agree. */
    static String hash(String text) {
        try {
            byte[] digest =
                    MessageDigest.getInstance("SHA-256")
                            .digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException e) { // every Java has it
            throw new IllegalStateException(e);
        }
    }

    /**
     * Who differs from rank 0, and in what.
     *
     * @param texts of all ranks
     */
    static String differences(List<String> texts) {
        Map<String, String> first = facts(texts.get(0));
        List<String> lines = new ArrayList<>();
        for (int rank = 1; rank < texts.size(); rank++) {
            Map<String, String> other = facts(texts.get(rank));
            Set<String> names = new LinkedHashSet<>(first.keySet());
            names.addAll(other.keySet());
            for (String name : names) {
                String here = other.getOrDefault(name, "absent");
                String there = first.getOrDefault(name, "absent");
                if (!here.equals(there)) {
                    lines.add("rank " + rank + " has " + name + " " + here + ", rank 0 " + there);
                }
            }
        }
        int more = lines.size() - MOST_SHOWN;
        return String.join("; ", more > 0 ? lines.subList(0, MOST_SHOWN) : lines)
                + (more > 0 ? "; and " + more + " more" : "");
    }

    private static Map<String, String> facts(String text) {
        Map<String, String> facts = new LinkedHashMap<>();
        text.lines()
                .forEach(
                        line -> {
                            int tab = line.indexOf('\t');
                            facts.put(line.substring(0, tab), line.substring(tab + 1));
                        });
        return facts;
    }
}
