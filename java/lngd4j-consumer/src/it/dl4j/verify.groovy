// It trained, with the versions that LNGD4J was tested with, and nobody warned.
String output = new File(basedir, "target/output.txt").text
String log = new File(basedir, "build.log").text
println output
assert output.contains("LNGD trains 1,539 parameters")
assert (output =~ /accuracy (0\.\d+) -> (0\.\d+)/).with { it.find() && it[0][2].toDouble() > it[0][1].toDouble() + 0.2 }
assert !output.contains("Warning") && !log.contains("tested is")
assert output.contains("JavaCPP " + javacpp)
return true
