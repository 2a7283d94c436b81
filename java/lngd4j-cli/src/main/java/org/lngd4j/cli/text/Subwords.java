// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.lngd4j.cli.CliException;

/**
 * Text as numbers of subwords, by byte-pair encoding (R. Sennrich, B. Haddow, A. Birch, "Neural
 * machine translation of rare words with subword units", 2016) over characters. A blank is kept as
 * the mark "\u2581" before the word, so that {@link #decode} gives the text back, blanks between
 * words and punctuation included. Immutable, but for a cache: not thread-safe.
 */
public final class Subwords {
    /** Fills up short sentences of a batch. */
    public static final int PADDING = 0;

    /** Begins a translation. */
    public static final int BEGIN = 1;

    /** Ends every sentence. */
    public static final int END = 2;

    /** A character that the training text has not. */
    public static final int UNKNOWN = 3;

    static final int SPECIAL = 4;

    private static final String BLANK = "\u2581";
    private static final String HEADER = "lngd-subwords 1";
    private static final String REPLACEMENT = "\ufffd";
    private static final Pattern BLANKS = Pattern.compile("\\s+", Pattern.UNICODE_CHARACTER_CLASS);

    // A word with the blank before it, or one other character: merges do not cross punctuation.
    private static final Pattern WORD =
            Pattern.compile(
                    BLANK
                            + "?(?:[\\p{L}\\p{M}\\p{N}]+|[^\\p{L}\\p{M}\\p{N}"
                            + BLANK
                            + "])|"
                            + BLANK);

    private final List<String> tokens = new ArrayList<>();
    private final Map<String, Integer> characters = new HashMap<>();
    private final List<long[]> mergedPairs = new ArrayList<>();
    private final Map<Long, Integer> merges = new HashMap<>();
    private final Map<String, int[]> words = new HashMap<>();

    Subwords(Collection<String> alphabet) {
        tokens.addAll(List.of("<pad>", "<s>", "</s>", "<unk>"));
        for (String character : alphabet) {
            characters.put(character, tokens.size());
            tokens.add(character);
        }
    }

    /**
     * Learns subwords from sentences.
     *
     * @param size tokens in all, those of padding, begin, end and unknown included; fewer where the
     *     text is short
     */
    public static Subwords learn(Collection<String> sentences, int size) {
        return new MergeLearner(sentences).learn(size);
    }

    /** From now on these two are merged, after all merges before. */
    void merge(int left, int right) {
        merges.put(pair(left, right), tokens.size());
        mergedPairs.add(new long[] {left, right});
        tokens.add(tokens.get(left) + tokens.get(right));
    }

    static long pair(int left, int right) {
        return (long) left << Integer.SIZE | right;
    }

    /** The words of a sentence, each with its blank. */
    static List<String> words(String sentence) {
        String text = Normalizer.normalize(sentence, Normalizer.Form.NFC).replace(BLANK, "_");
        text = BLANKS.matcher(text.strip()).replaceAll(BLANK);
        return WORD.matcher(BLANK + text).results().map(r -> r.group()).toList();
    }

    static List<String> characters(String word) {
        return word.codePoints().mapToObj(Character::toString).toList();
    }

    /** The number of tokens. */
    public int size() {
        return tokens.size();
    }

    /** Numbers of a sentence, without begin and end. */
    public int[] encode(String sentence) {
        List<int[]> parts = words(sentence).stream().map(this::encodeWord).toList();
        return parts.stream().flatMapToInt(Arrays::stream).toArray();
    }

    private int[] encodeWord(String word) {
        return words.computeIfAbsent(
                word,
                w ->
                        mergeAll(
                                characters(w).stream()
                                        .mapToInt(c -> characters.getOrDefault(c, UNKNOWN))
                                        .toArray()));
    }

    /** The earliest merge first, as they were learned. */
    private int[] mergeAll(int[] ids) {
        int[] current = ids;
        while (true) {
            int earliest = Integer.MAX_VALUE;
            for (int i = 0; i + 1 < current.length; i++) {
                int merged = merges.getOrDefault(pair(current[i], current[i + 1]), earliest);
                earliest = Math.min(earliest, merged);
            }
            if (earliest == Integer.MAX_VALUE) {
                return current;
            }
            long[] pair = mergedPairs.get(earliest - SPECIAL - characters.size());
            current = replace(current, (int) pair[0], (int) pair[1], earliest);
        }
    }

    /** A word in which a pair has become one, from left to right. */
    static int[] replace(int[] word, int left, int right, int merged) {
        int[] out = new int[word.length];
        int count = 0;
        for (int i = 0; i < word.length; i++) {
            if (word[i] == left && i + 1 < word.length && word[i + 1] == right) {
                out[count++] = merged;
                i++;
            } else {
                out[count++] = word[i];
            }
        }
        return Arrays.copyOf(out, count);
    }

    /** The text of tokens, up to the first {@link #END}. */
    public String decode(int... ids) {
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            if (id == END) {
                break;
            }
            if (id == UNKNOWN) {
                text.append(REPLACEMENT);
            } else if (id >= SPECIAL) {
                text.append(tokens.get(id));
            }
        }
        return text.toString().replace(BLANK, " ").strip();
    }

    /**
     * A text file that {@link #parse} reads: the alphabet, then the merges in their order, by the
     * numbers of the two tokens.
     */
    public String write() {
        StringBuilder text = new StringBuilder(HEADER).append('\n');
        text.append("characters ").append(characters.size()).append('\n');
        for (int i = 0; i < characters.size(); i++) {
            text.append(tokens.get(SPECIAL + i)).append('\n');
        }
        text.append("merges ").append(mergedPairs.size()).append('\n');
        for (int i = 0; i < mergedPairs.size(); i++) {
            // The text is for readers: two merges may give the same one.
            long[] pair = mergedPairs.get(i);
            text.append(pair[0]).append(' ').append(pair[1]).append(' ');
            text.append(tokens.get(SPECIAL + characters.size() + i)).append('\n');
        }
        return text.toString();
    }

    /**
     * Reads what {@link #write} gave.
     *
     * @param name of the file, for messages
     */
    public static Subwords parse(String name, String text) {
        try {
            String[] lines = text.split("\n");
            if (!lines[0].equals(HEADER)) {
                throw new IllegalArgumentException("it does not begin with " + HEADER);
            }
            int alphabet = count(lines[1], "characters ");
            Subwords read = new Subwords(List.of(lines).subList(2, 2 + alphabet));
            int count = count(lines[2 + alphabet], "merges ");
            for (String line : List.of(lines).subList(3 + alphabet, 3 + alphabet + count)) {
                String[] pair = line.split(" ", -1);
                read.merge(Integer.parseInt(pair[0]), Integer.parseInt(pair[1]));
            }
            return read;
        } catch (RuntimeException e) {
            throw CliException.badInput(
                    name + ": not a file of subwords (" + e.getMessage() + ")", e);
        }
    }

    private static int count(String line, String word) {
        if (!line.startsWith(word)) {
            throw new IllegalArgumentException("\"" + line + "\" instead of " + word);
        }
        return Integer.parseInt(line.substring(word.length()));
    }

    @Override
    public String toString() {
        return size() + " subwords";
    }
}
