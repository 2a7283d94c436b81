#!/usr/bin/env bash
# Packs what the JNI tests need on a machine without a JDK, a registry or Maven, into a folder that git ignores:
#   bench/gpu/pack-jvm.sh [FOLDER]      .gpu-jvm unless another is named; about 45 MiB, to be carried along with the call
# A small JRE, the classes and tests of lngd4j-native, its natives, its dependencies, and JUnit's console.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=${1:-.gpu-jvm}
module=java/lngd4j-native
modules=java.base,java.logging,java.management,jdk.unsupported,java.xml

rm -rf "$out.new"
mkdir -p "$out.new/lib"
trap 'rm -rf "$out.new"' EXIT
absolute=$(cd "$out.new" && pwd)

mvn -B -ntp -q -pl "$module" -am -DskipTests test-compile \
  org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies -DoutputDirectory="$absolute/lib" -DincludeScope=test
junit=$(sed -n 's:.*<junit.version>\(.*\)</junit.version>.*:\1:p' pom.xml)
mvn -B -ntp -q -pl "$module" org.apache.maven.plugins:maven-dependency-plugin:copy \
  -Dartifact="org.junit.platform:junit-platform-console-standalone:$junit" -DoutputDirectory="$absolute"
mv "$out.new"/junit-platform-console-standalone-*.jar "$out.new/console.jar"
# The console holds JUnit; AssertJ wants Byte Buddy (9 MiB) for soft assertions only, which no test here uses.
rm -f "$out.new"/lib/junit-* "$out.new"/lib/opentest4j-* "$out.new"/lib/byte-buddy-*

cp -r "$module/target/classes" "$module/target/test-classes" "$module/target/natives" "$out.new/"
jlink --add-modules "$modules" --strip-debug --no-header-files --no-man-pages --output "$out.new/jre"
tar -C "$out.new" -czf "$out.new/jre.tar.gz" jre
rm -rf "$out.new/jre"

rm -rf "$out"
mv "$out.new" "$out"
trap - EXIT
du -sh "$out" | sed 's/\t/  /'
