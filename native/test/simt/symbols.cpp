// SPDX-License-Identifier: Apache-2.0
// How much static shared memory a kernel has. Under the emulator a __shared__ variable is a static of the kernel, and
// C++ names such a variable after its function: kernel `_Z` + E has `_ZZ` + E + `E` + the variable's own name. So the
// symbol table of this program or library tells all of it, without a word in the kernels' sources. (Rejected: a
// constant beside each kernel, which somebody has to keep true.) The loader does not map that table; it is read from
// the file.
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "device.hpp"
#include "emulator.hpp"

namespace simt {
namespace {

// nvcc rounds a kernel's total to the alignment of the dynamic shared memory that follows.
constexpr size_t kDynamicAlignment = 16;

struct Variable {
  std::string name;
  size_t bytes, alignment;
};

// Source file (the same name may be in two) and mangled name, less `_Z`.
using Symbol = std::pair<std::string, std::string>;

struct Table {
  std::map<uintptr_t, Symbol> functions;
  std::multimap<Symbol, Variable> variables; // by the function that holds them
  std::string problem;
};

// The file that this code was loaded from. Not dladdr's name, which is relative to an earlier working directory.
std::string own_file() {
  std::string found;
  std::FILE* const maps = std::fopen("/proc/self/maps", "r");
  if (!maps) return found;
  char line[4600];
  const uintptr_t here = reinterpret_cast<uintptr_t>(&own_file);
  while (std::fgets(line, sizeof line, maps)) {
    unsigned long low = 0, high = 0;
    if (std::sscanf(line, "%lx-%lx", &low, &high) != 2 || here < low || here >= high) continue;
    const char* const path = std::strchr(line, '/');
    if (path) found.assign(path, std::strcspn(path, "\n"));
    break;
  }
  std::fclose(maps);
  return found;
}

struct File {
  const char* data = nullptr;
  size_t bytes = 0;

  explicit File(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file >= 0 && fstat(file, &status) == 0 && status.st_size > 0) {
      void* const mapped = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file, 0);
      if (mapped != MAP_FAILED) data = static_cast<const char*>(mapped), bytes = static_cast<size_t>(status.st_size);
    }
    if (file >= 0) close(file);
  }
  ~File() {
    if (data) munmap(const_cast<char*>(data), bytes);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

// A __shared__ variable's name begins with that of the function that holds it; the function is found by trying where
// the variable's own name, <length><identifier>, may begin: at the last `E` that such a name follows.
bool split(const std::string& mangled, std::string& function, std::string& variable) {
  if (mangled.compare(0, 3, "_ZZ") != 0) return false;
  for (size_t e = mangled.rfind('E'); e != std::string::npos && e > 3; e = mangled.rfind('E', e - 1)) {
    size_t length = 0, at = e + 1;
    while (at < mangled.size() && mangled[at] >= '0' && mangled[at] <= '9')
      length = 10 * length + static_cast<size_t>(mangled[at++] - '0');
    // Behind it stand a number of the compiler's at most: `_0` of a second variable of that name, `.1` of a copy.
    if (length == 0 || at + length > mangled.size()) continue;
    if (at + length < mangled.size() && mangled[at + length] != '_' && mangled[at + length] != '.') continue;
    function = mangled.substr(3, e - 3);
    variable = mangled.substr(at, length);
    return true;
  }
  return false;
}

bool from_kernel_file(const std::string& file) {
  return file.size() > 3 && file.compare(file.size() - 3, 3, ".cu") == 0;
}

void read_symbols(const File& file, const Elf64_Shdr* sections, const Elf64_Shdr& symbols, Table& table) {
  const auto* const all = reinterpret_cast<const Elf64_Sym*>(file.data + symbols.sh_offset);
  const char* const names = file.data + sections[symbols.sh_link].sh_offset;
  std::string source; // of the local symbols that follow; "" for those of all files
  for (size_t i = 0; i < symbols.sh_size / sizeof(Elf64_Sym); ++i) {
    const Elf64_Sym& symbol = all[i];
    const std::string name = names + symbol.st_name;
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    if (i >= symbols.sh_info) source.clear(); // the first that is not local
    if (type == STT_FILE) source = name;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE || name.compare(0, 2, "_Z") != 0) continue;
    if (type == STT_FUNC) table.functions[symbol.st_value] = {source, name.substr(2)};
    std::string function, variable;
    if (type != STT_OBJECT || sections[symbol.st_shndx].sh_type != SHT_NOBITS || !split(name, function, variable))
      continue;
    // A size is a multiple of the alignment, so its lowest bit bounds it; g++ aligns beyond the type for speed.
    const size_t lowest = symbol.st_size & -symbol.st_size;
    table.variables.insert({{source, function}, {variable, symbol.st_size, std::min(lowest, kDynamicAlignment)}});
  }
}

// The table, or what is in the way.
Table read_table() {
  Table table;
  const std::string path = own_file();
  const File file(path);
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(file.data);
  if (file.bytes < sizeof *header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_shoff + header->e_shnum * sizeof(Elf64_Shdr) > file.bytes) {
    table.problem = "the emulator cannot read the file it was loaded from (" + path + ")";
    return table;
  }
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(file.data + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i)
    if (sections[i].sh_type == SHT_SYMTAB) read_symbols(file, sections, sections[i], table);
  if (table.functions.empty())
    table.problem = path + " was stripped of its symbols, by which the emulator knows static shared memory";
  // A variable of another function would be missed in its kernel's account. Which functions are kernels no symbol says,
  // but those of the backend are named so.
  for (const auto& [owner, variable] : table.variables)
    if (from_kernel_file(owner.first) && owner.second.compare(0, 11, "N4lngd4cuda") == 0 &&
        owner.second.find("_kernel") == std::string::npos)
      table.problem = "__shared__ " + variable.name + " in " + owner.first +
                      " stands in a function whose name does not end in _kernel (" + owner.second +
                      "): the emulator counts those of kernels";
  return table;
}

const Table& table() {
  static const Table read = read_table();
  return read;
}

} // namespace

const std::string& symbols_problem() { return table().problem; }

namespace {

// By its address; nullptr where there is none.
const Symbol* find_symbol(const void* kernel) {
  Dl_info info;
  if (!dladdr(kernel, &info)) return nullptr;
  uintptr_t address = reinterpret_cast<uintptr_t>(kernel);
  if (static_cast<const Elf64_Ehdr*>(info.dli_fbase)->e_type == ET_DYN)
    address -= reinterpret_cast<uintptr_t>(info.dli_fbase);
  const auto found = table().functions.find(address);
  return found == table().functions.end() ? nullptr : &found->second;
}

} // namespace

std::string function_name(const void* kernel) {
  const Symbol* const symbol = find_symbol(kernel);
  int status = -1;
  char* const text = symbol ? abi::__cxa_demangle(("_Z" + symbol->second).c_str(), nullptr, nullptr, &status) : nullptr;
  if (status != 0) return "a kernel without a name";
  const std::string name = text;
  std::free(text);
  return name;
}

bool static_shared_bytes(const void* kernel, size_t& bytes) {
  bytes = 0;
  const Symbol* const symbol = find_symbol(kernel);
  if (!symbol || !table().problem.empty()) return false;
  // The widest alignment first, so that nothing is lost between them.
  const auto [first, last] = table().variables.equal_range(*symbol);
  for (size_t alignment = kDynamicAlignment; alignment > 0; alignment /= 2)
    for (auto v = first; v != last; ++v)
      if (v->second.alignment == alignment) bytes += v->second.bytes;
  bytes = (bytes + kDynamicAlignment - 1) / kDynamicAlignment * kDynamicAlignment;
  return true;
}

} // namespace simt
