// Opens the safetensors files whose paths it reads from the standard input, one a line, and prints for each "accept"
// and what it holds, or "reject" and the message. For mutate_safetensors.py.

#include <iostream>
#include <string>

#include "gptlite/io/safetensors.hpp"

int main() {
  using namespace gptlite;
  for (std::string path; std::getline(std::cin, path);) {
    try {
      io::SafetensorsFile file(path);
      std::cout << "accept";
      for (const auto& [name, entry] : file.tensors()) {
        std::cout << ' ' << io::json_string(name) << ' ' << name_of(entry.dtype) << ' ' << entry.shape << ' '
                  << file.read_bytes(name).size();
      }
      std::cout << '\n';
    } catch (const Error& error) {
      std::cout << "reject " << error.what() << '\n';
    }
  }
}
