// SPDX-License-Identifier: Apache-2.0
// Part of an adapter written from conformance/README.md alone: takes the lines that a decoder prints of its tensors (name,
// shape, type, file of raw values) and writes the safetensors file that the contract asks for.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

namespace {

// The text between two marks, as it stands; JSON's escapes are still JSON's in a safetensors header.
std::string between(const std::string& line, const std::string& left, const std::string& right) {
  const auto begin = line.find(left);
  if (begin == std::string::npos) return {};
  const auto from = begin + left.size();
  const auto end = line.find(right, from);
  return line.substr(from, end == std::string::npos ? end : end - from);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::string header = "{", body, line;
  while (std::getline(std::cin, line)) {
    const std::string name = between(line, "\"name\": \"", "\", \"shape\": ");
    const std::string type = between(line, "\"dtype\": \"", "\"") == "int32" ? "I32" : "F32";
    std::ifstream file(std::string(argv[1]) + "/" + between(line, "\"file\": \"", "\""), std::ios::binary);
    if (!file) return 70;
    const auto begin = body.size();
    body.append(std::istreambuf_iterator<char>(file), {});
    header += (header.size() > 1 ? "," : "") + ("\"value:" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":") +
              between(line, "\"shape\": ", ", \"dtype\"") + ",\"data_offsets\":[" + std::to_string(begin) + "," +
              std::to_string(body.size()) + "]}";
  }
  header += "}";
  std::ofstream output(argv[2], std::ios::binary);
  for (int i = 0; i < 8; ++i) output.put(static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * i)));
  output << header << body;
  return output.good() ? 0 : 70;
}
