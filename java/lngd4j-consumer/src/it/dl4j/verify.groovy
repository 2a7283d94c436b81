// It trained, with the versions that LNGD4J was tested with, and nobody warned.
String output = new File(basedir, "target/output.txt").text
String log = new File(basedir, "build.log").text
println output
assert output.contains("LNGD trains 1,539 parameters")
assert (output =~ /accuracy (0\.\d+) -> (0\.\d+)/).with { it.find() && it[0][2].toDouble() > it[0][1].toDouble() + 0.2 }
assert !output.contains("Warning") && !log.contains("tested is")
assert output.contains("JavaCPP " + javacpp)
// Each jar of LNGD4J is a module, with a name of its own.
def names = []
new File(localRepositoryPath, "org/lngd4j").eachFileRecurse {
    if (it.name.endsWith(".jar")) {
        names << new java.util.jar.JarFile(it).withCloseable { jar -> jar.manifest.mainAttributes.getValue("Automatic-Module-Name") }
    }
}
assert names.size() > 4 && names.toSet().size() == names.size() && names.every { it?.startsWith("org.lngd4j") }
return true
