#!/usr/bin/env bash
# Packs the command with all that it needs but a Java 17: target/lngd-VERSION-linux-x86_64.tar.gz (250 MB), which unpacks to a
# folder with `lngd` in it. Spark is not in it: there SPARK_HOME names one.
#   ./package.sh [FOLDER]      makes this folder instead of the archive, with links to the jars
set -euo pipefail
[ $# -le 1 ] || {
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
}
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
if [ $# = 1 ]; then
  out=$(readlink -m "$1")
else
  out=
fi
cd "$root"

mvn -q -B -ntp -DskipTests -Dmaven.test.skip=true -pl java/lngd4j-cli-spark -am package
version=$(sed -n 's:.*<version>\(.*\)</version>.*:\1:p' pom.xml | head -1)
pytorch=$(sed -n 's:.*<pytorch.version>\(.*\)</pytorch.version>.*:\1:p' pom.xml)
mvn -q -B -ntp -N dependency:copy "-Dartifact=org.bytedeco:pytorch:$pytorch:jar:linux-x86_64" -DoutputDirectory="$root/target/pytorch"

name=lngd-$version-linux-x86_64
folder=${out:-$root/target/$name}
rm -rf "$folder"
mkdir -p "$folder/lib/pytorch"
cp lngd LICENSE README.md "$folder"
cp -r docs "$folder"
cp pom.xml "$folder/lib" # settings of Spark's JVMs
git describe --always --dirty --abbrev=40 --exclude='*' >"$folder/lib/commit" 2>/dev/null || echo unknown >"$folder/lib/commit"
# Spark brings some jars in other versions than the command has alone: what only one of them wants lies apart.
jars() { # of a module
  printf '%s\n' "$root/java/$1/target/$1-$version.jar"
  tr : '\n' <"java/$1/target/classpath.txt"
}
modules=(lngd4j-cli lngd4j-cli-spark)
mkdir "${modules[@]/#/$folder/lib/}"
ln -s $(comm -12 <(jars "${modules[0]}" | sort -u) <(jars "${modules[1]}" | sort -u)) "$folder/lib/"
ln -s $(comm -23 <(jars "${modules[0]}" | sort -u) <(jars "${modules[1]}" | sort -u)) "$folder/lib/${modules[0]}/"
ln -s $(comm -13 <(jars "${modules[0]}" | sort -u) <(jars "${modules[1]}" | sort -u)) "$folder/lib/${modules[1]}/"
ln -s "$root/target/pytorch/pytorch-$pytorch-linux-x86_64.jar" "$folder/lib/pytorch/"
[ -z "$out" ] || exit 0

# The same bytes for the same files, whoever packs them.
tar -C target --dereference --sort=name --owner=0 --group=0 --numeric-owner --mtime='2026-01-01 00:00Z' -c "$name" | gzip -n1 >"target/$name.tar.gz"
rm -rf "$folder"
echo "target/$name.tar.gz ($(du -h "target/$name.tar.gz" | cut -f1))"
