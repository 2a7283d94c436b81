// It trained, without ND4J anywhere.
String output = new File(basedir, "target/output.txt").text
println output
assert output.contains("LNGD trains 1,539 parameters")
assert (output =~ /accuracy (0\.\d+) -> (0\.\d+)/).with { it.find() && it[0][2].toDouble() > it[0][1].toDouble() + 0.2 }
assert output.contains("JavaCPP " + javacpp)
assert output.contains("ND4J false")
return true
