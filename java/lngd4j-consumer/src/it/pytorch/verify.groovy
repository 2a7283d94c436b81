// It trained, without ND4J anywhere.
String output = new File(basedir, "target/output.txt").text
println output
assert output.contains("LNGD trains 1,539 parameters")
assert (output =~ /accuracy (0\.\d+) -> (0\.\d+)/).with { it.find() && it[0][2].toDouble() > it[0][1].toDouble() + 0.2 }
assert output.contains("JavaCPP " + javacpp)
assert output.contains("ND4J false")
// Each jar of LNGD4J is a module, with a name of its own.
def names = []
new File(localRepositoryPath, "org/lngd4j").eachFileRecurse {
    if (it.name.endsWith(".jar")) {
        names << new java.util.jar.JarFile(it).withCloseable { jar -> jar.manifest.mainAttributes.getValue("Automatic-Module-Name") }
    }
}
assert names.size() > 4 && names.toSet().size() == names.size() && names.every { it?.startsWith("org.lngd4j") }
return true
