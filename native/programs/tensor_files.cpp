// SPDX-License-Identifier: Apache-2.0
#include "tensor_files.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(_WIN32)
#define NOMINMAX
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/stat.h>
#endif

namespace {

bool is_little_endian() {
  const std::uint16_t one = 1;
  unsigned char low;
  std::memcpy(&low, &one, 1);
  return low == 1;
}

// Types by nnr_type: bytes of an element, and NumPy's description.
struct FileType {
  std::size_t n_bytes;
  const char* descr;
};
constexpr FileType kTypes[] = {{4, "f4"}, {4, "i4"}, {8, "f8"}, {2, "f2"}, {2, "V2"}, {1, "V1"}, {1, "V1"}, {1, "b1"},
                               {1, "u1"}, {1, "i1"}, {2, "u2"}, {2, "i2"}, {4, "u4"}, {8, "u8"}, {8, "i8"}, {1, "u1"}};

// Opaque types that safetensors has names for.
bool is_safetensors_type(const char* name) {
  static constexpr const char* kNames[] = {"F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"};
  for (const char* const known : kNames)
    if (std::strcmp(name, known) == 0) return true;
  return false;
}

// Writes elements in little-endian order.
bool write_elements(std::FILE* file, const unsigned char* content, std::size_t n_bytes, std::size_t element_bytes) {
  if (is_little_endian() || element_bytes == 1) return std::fwrite(content, 1, n_bytes, file) == n_bytes;
  for (std::size_t i = 0; i < n_bytes; i += element_bytes)
    for (std::size_t j = element_bytes; j > 0; --j)
      if (std::fputc(content[i + j - 1], file) == EOF) return false;
  return true;
}

void put_little_endian(unsigned char* to, unsigned long long value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) to[i] = static_cast<unsigned char>(value >> (8 * i));
}

// The first four bytes of a record of a ZIP file.
void put_signature(unsigned char* to, unsigned char first, unsigned char second) {
  const unsigned char signature[4] = {'P', 'K', first, second};
  std::memcpy(to, signature, sizeof signature);
}

// Elements count as little-endian ones.
std::uint32_t crc32_of(std::uint32_t crc, const unsigned char* bytes, std::size_t size, std::size_t element_bytes) {
  static std::uint32_t table[256];
  if (table[1] == 0)
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xEDB88320U ^ value >> 1 : value >> 1;
      table[i] = value;
    }
  // Sizes of elements are powers of two: the exclusive or reverses the order within one.
  const std::size_t reversal = is_little_endian() ? 0 : element_bytes - 1;
  for (std::size_t i = 0; i < size; ++i) crc = table[(crc ^ bytes[i ^ reversal]) & 0xFF] ^ crc >> 8;
  return crc;
}

// Renames a file, in place of one that has the name.
bool replace_file(const char* from, const char* to) {
#if defined(_WIN32)
  return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) != 0;
#else
  return std::rename(from, to) == 0;
#endif
}

#if !defined(_WIN32)
// Copies a file from its first byte on.
bool copy_file(std::FILE* from, std::FILE* to) {
  if (std::fseek(from, 0, SEEK_SET) != 0) return false;
  char window[4096];
  std::size_t n_bytes = 0;
  while ((n_bytes = std::fread(window, 1, sizeof window, from)) > 0)
    if (std::fwrite(window, 1, n_bytes, to) != n_bytes) return false;
  return std::ferror(from) == 0;
}
#endif

// A JSON string's content.
bool write_escaped(std::FILE* file, const char* text, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const bool quoted = octet == '"' || octet == '\\';
    if (octet < 0x20 ? std::fprintf(file, "\\u%04x", octet) < 0
                     : (quoted && std::fputc('\\', file) == EOF) || std::fputc(octet, file) == EOF)
      return false;
  }
  return true;
}

}  // namespace

TensorFile::~TensorFile() {
  for (std::size_t i = 0; i < count_; ++i) {
    std::free(entries_[i].key);
    std::free(entries_[i].content);
  }
  std::free(entries_);
  std::free(slots_);
}

std::size_t* TensorFile::slot_of(const char* key, std::size_t n_bytes) const {
  // FNV-1a, from a start that differs between runs, so that no stream can be made whose names collide.
  std::uint64_t hash = 0xCBF29CE484222325U ^ reinterpret_cast<std::uintptr_t>(slots_);
  for (std::size_t i = 0; i < n_bytes; ++i) hash = (hash ^ static_cast<unsigned char>(key[i])) * 0x100000001B3U;
  hash ^= hash >> 32;
  for (auto at = static_cast<std::size_t>(hash) & (n_slots_ - 1);; at = (at + 1) & (n_slots_ - 1)) {
    if (slots_[at] == 0) return slots_ + at;
    const Entry& entry = entries_[slots_[at] - 1];
    if (entry.key_bytes == n_bytes && std::memcmp(entry.key, key, n_bytes) == 0) return slots_ + at;
  }
}

bool TensorFile::grow() {
  if (count_ < room_) return true;
  const std::size_t room = room_ == 0 ? 64 : 2 * room_;
  auto* const entries = static_cast<Entry*>(std::realloc(entries_, room * sizeof(Entry)));
  if (entries == nullptr) return false;
  entries_ = entries;
  auto* const slots = static_cast<std::size_t*>(std::calloc(2 * room, sizeof(std::size_t)));
  if (slots == nullptr) return false;
  std::free(slots_);
  slots_ = slots;
  n_slots_ = 2 * room;
  for (std::size_t i = 0; i < count_; ++i) *slot_of(entries_[i].key, entries_[i].key_bytes) = i + 1;
  room_ = room;
  return true;
}

unsigned char* TensorFile::add_entry(const char* prefix, const nnr_tensor& tensor, nnr_type type) {
  const std::uint64_t n_bytes = type == NNR_OPAQUE ? tensor.n_bytes : kTypes[type].n_bytes * tensor.n_elements;
  if (tensor.n_dimensions > 64 || n_bytes > SIZE_MAX / 2) return nullptr;
  const std::size_t prefix_bytes = std::strlen(prefix);
  Entry entry = {};
  entry.key_bytes = prefix_bytes + tensor.name_bytes;
  entry.n_bytes = static_cast<std::size_t>(n_bytes);
  entry.element_bytes = kTypes[type].n_bytes;
  const bool is_bytes = type == NNR_OPAQUE && !is_safetensors_type(tensor.type_name);
  entry.n_dimensions = is_bytes ? 1 : tensor.n_dimensions;
  for (std::size_t i = 0; i < tensor.n_dimensions; ++i) entry.shape[i] = tensor.shape[i];
  if (is_bytes) entry.shape[0] = n_bytes;
  const char* const dtype = is_bytes ? "U8" : type == tensor.type ? tensor.type_name : "I32";
  std::snprintf(entry.dtype, sizeof entry.dtype, "%s", dtype);
  std::snprintf(entry.descr, sizeof entry.descr, "%s", kTypes[type].descr);
  entry.key = static_cast<char*>(std::malloc(entry.key_bytes + 1));
  entry.content = static_cast<unsigned char*>(std::malloc(entry.n_bytes == 0 ? 4 : entry.n_bytes));
  if (entry.key == nullptr || entry.content == nullptr || !grow()) {
    std::free(entry.key);
    std::free(entry.content);
    return nullptr;
  }
  std::memcpy(entry.key, prefix, prefix_bytes);
  std::memcpy(entry.key + prefix_bytes, tensor.name, tensor.name_bytes);
  std::size_t& slot = *slot_of(entry.key, entry.key_bytes);
  if (slot == 0) {
    slot = ++count_;
  } else {
    std::free(entries_[slot - 1].key);
    std::free(entries_[slot - 1].content);
  }
  entries_[slot - 1] = entry;
  return entry.content;
}

void* TensorFile::add(const nnr_tensor& tensor, const char* prefix) { return add_entry(prefix, tensor, tensor.type); }

bool TensorFile::keep_levels(const nnr_decoder* decoder, void* const* buffers, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const nnr_tensor& tensor = *nnr_decoder_tensor(decoder, i);
    if (tensor.coding == NNR_CODING_RAW) continue;
    unsigned char* const levels = add_entry("level:", tensor, NNR_INT32);
    if (levels == nullptr) return false;
    std::memcpy(levels, buffers[i], 4 * static_cast<std::size_t>(tensor.n_elements));
    if (tensor.coding == NNR_CODING_INTEGER) continue;
    auto* const values = static_cast<unsigned char*>(buffers[i]);
    const auto step = static_cast<float>(tensor.step_size);
    for (std::size_t j = 0; j < tensor.n_elements; ++j) {
      std::int32_t level;
      std::memcpy(&level, levels + 4 * j, 4);
      float value = step * static_cast<float>(level);
      if (tensor.coding == NNR_CODING_CODEBOOK) {
        const long long entry = level + static_cast<long long>(tensor.codebook_zero);
        value = static_cast<float>(static_cast<double>(step) * tensor.codebook[entry]);
      }
      std::memcpy(values + 4 * j, &value, 4);
    }
  }
  return true;
}

bool TensorFile::write_safetensors(std::FILE* file) const {
  unsigned char length[8] = {};
  if (std::fwrite(length, 1, 8, file) != 8 || std::fputc('{', file) == EOF) return false;
  unsigned long long offset = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const Entry& entry = entries_[i];
    if (std::fputs(i == 0 ? "\"" : ",\"", file) == EOF || !write_escaped(file, entry.key, entry.key_bytes)) return false;
    std::fprintf(file, "\":{\"dtype\":\"%s\",\"shape\":[", entry.dtype);
    for (std::size_t j = 0; j < entry.n_dimensions; ++j) std::fprintf(file, j == 0 ? "%llu" : ",%llu", entry.shape[j]);
    std::fprintf(file, "],\"data_offsets\":[%llu,%llu]}", offset, offset + entry.n_bytes);
    offset += entry.n_bytes;
  }
  if (std::fputc('}', file) == EOF) return false;
  long header = std::ftell(file);
  for (; header % 8 != 0; ++header)
    if (std::fputc(' ', file) == EOF) return false;
  for (std::size_t i = 0; i < count_; ++i)
    if (!write_elements(file, entries_[i].content, entries_[i].n_bytes, entries_[i].element_bytes)) return false;
  put_little_endian(length, static_cast<unsigned long long>(header) - 8, 8);
  return std::fseek(file, 0, SEEK_SET) == 0 && std::fwrite(length, 1, 8, file) == 8;
}

bool TensorFile::begin_npy(const Entry& entry, char* header, std::size_t& n_bytes) const {
  constexpr std::size_t kRoom = 2048;
  int at = std::snprintf(header + 10, kRoom - 10, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                         entry.descr[1] == '1' || entry.descr[0] == 'V' ? '|' : '<', entry.descr);
  for (std::size_t j = 0; j < entry.n_dimensions; ++j)
    at += std::snprintf(header + 10 + at, kRoom - 10 - static_cast<std::size_t>(at), "%llu, ", entry.shape[j]);
  at += std::snprintf(header + 10 + at, kRoom - 10 - static_cast<std::size_t>(at), "), }");
  n_bytes = (10 + static_cast<std::size_t>(at) + 1 + 63) / 64 * 64;
  std::memset(header + 10 + at, ' ', n_bytes - 11 - static_cast<std::size_t>(at));
  header[n_bytes - 1] = '\n';
  constexpr char kMagic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
  std::memcpy(header, kMagic, sizeof kMagic);
  put_little_endian(reinterpret_cast<unsigned char*>(header) + 8, n_bytes - 10, 2);
  return true;
}

// Stored entries with 64-bit sizes where they need them. Source: APPNOTE.TXT 6.3.
bool TensorFile::write_npz(std::FILE* file) const {
  constexpr unsigned long long kMost = 0xFFFFFFFFU;
  std::size_t directory_room = 1;
  for (std::size_t i = 0; i < count_; ++i) directory_room += 78 + entries_[i].key_bytes;
  auto* const directory = static_cast<unsigned char*>(std::malloc(directory_room));
  if (directory == nullptr) return false;
  unsigned long long offset = 0;
  std::size_t directory_bytes = 0;
  const auto put = [&](const void* octets, std::size_t n_bytes) {
    std::memcpy(directory + directory_bytes, octets, n_bytes);
    directory_bytes += n_bytes;
  };
  bool done = true;
  for (std::size_t i = 0; i < count_ && done; ++i) {
    const Entry& entry = entries_[i];
    char npy[2048];
    std::size_t npy_bytes = 0;
    begin_npy(entry, npy, npy_bytes);
    const unsigned long long size = npy_bytes + entry.n_bytes;
    std::uint32_t crc = crc32_of(~0U, reinterpret_cast<unsigned char*>(npy), npy_bytes, 1);
    crc = ~crc32_of(crc, entry.content, entry.n_bytes, entry.element_bytes);
    const std::size_t name_bytes = entry.key_bytes + 4;
    unsigned char local[30 + 20] = {};
    put_signature(local, 3, 4);
    put_little_endian(local + 4, 45, 2);
    put_little_endian(local + 6, 0x800, 2);  // names in UTF-8
    put_little_endian(local + 12, 0x21, 2);  // 1 January 1980
    put_little_endian(local + 14, crc, 4);
    put_little_endian(local + 18, kMost, 4);
    put_little_endian(local + 22, kMost, 4);
    put_little_endian(local + 26, name_bytes, 2);
    put_little_endian(local + 28, 20, 2);
    put_little_endian(local + 30, 1, 2);
    put_little_endian(local + 32, 16, 2);
    put_little_endian(local + 34, size, 8);
    put_little_endian(local + 42, size, 8);
    unsigned char central[46 + 28] = {};
    put_signature(central, 1, 2);
    put_little_endian(central + 4, 45, 2);
    std::memcpy(central + 6, local + 4, 22);
    put_little_endian(central + 28, name_bytes, 2);
    put_little_endian(central + 30, 28, 2);
    put_little_endian(central + 42, kMost, 4);
    put_little_endian(central + 46, 1, 2);
    put_little_endian(central + 48, 24, 2);
    put_little_endian(central + 50, size, 8);
    put_little_endian(central + 58, size, 8);
    put_little_endian(central + 66, offset, 8);
    done = name_bytes <= 0xFFFF;
    done = done && std::fwrite(local, 1, 30, file) == 30 && std::fwrite(entry.key, 1, entry.key_bytes, file) == entry.key_bytes;
    done = done && std::fwrite(".npy", 1, 4, file) == 4 && std::fwrite(local + 30, 1, 20, file) == 20;
    done = done && std::fwrite(npy, 1, npy_bytes, file) == npy_bytes &&
           write_elements(file, entry.content, entry.n_bytes, entry.element_bytes);
    put(central, 46);
    put(entry.key, entry.key_bytes);
    put(".npy", 4);
    put(central + 46, 28);
    offset += 50 + name_bytes + size;
  }
  done = done && std::fwrite(directory, 1, directory_bytes, file) == directory_bytes;
  std::free(directory);
  if (count_ == 0) {
    static constexpr unsigned char kEmpty[22] = {'P', 'K', 5, 6};
    return done && std::fwrite(kEmpty, 1, sizeof kEmpty, file) == sizeof kEmpty;
  }
  unsigned char end[56 + 20 + 22] = {};
  put_signature(end, 6, 6);
  put_little_endian(end + 4, 44, 8);
  put_little_endian(end + 12, 45, 2);
  put_little_endian(end + 14, 45, 2);
  put_little_endian(end + 24, count_, 8);
  put_little_endian(end + 32, count_, 8);
  put_little_endian(end + 40, directory_bytes, 8);
  put_little_endian(end + 48, offset, 8);
  put_signature(end + 56, 6, 7);
  put_little_endian(end + 64, offset + directory_bytes, 8);
  put_little_endian(end + 72, 1, 4);
  put_signature(end + 76, 5, 6);
  put_little_endian(end + 84, 0xFFFF, 2);
  put_little_endian(end + 86, 0xFFFF, 2);
  put_little_endian(end + 88, kMost, 4);
  put_little_endian(end + 92, kMost, 4);
  return done && std::fwrite(end, 1, sizeof end, file) == sizeof end;
}

bool TensorFile::write_content(std::FILE* file, const char* path) const {
  return is_npz(path) ? write_npz(file) : write_safetensors(file);
}

bool TensorFile::is_npz(const char* path) {
  const std::size_t n_bytes = std::strlen(path);
  return n_bytes > 4 && std::strcmp(path + n_bytes - 4, ".npz") == 0;
}

bool TensorFile::can_write(const char* path) const {
  static constexpr char kReserved[] = "__metadata__";
  return is_npz(path) || count_ == 0 || *slot_of(kReserved, sizeof kReserved - 1) == 0;
}

bool TensorFile::write(const char* path) const {
  char* target = nullptr;
#if !defined(_WIN32)
  struct stat state = {};
  if (stat(path, &state) == 0) {
    // A rename would put a file in the place of the pipe or device.
    if (!S_ISREG(state.st_mode)) {
      std::FILE* const spool = std::tmpfile();
      std::FILE* const file = std::fopen(path, "wb");
      bool done = spool != nullptr && file != nullptr && write_content(spool, path) && copy_file(spool, file);
      if (spool != nullptr) std::fclose(spool);
      if (file != nullptr) done = std::fclose(file) == 0 && done;
      return done;
    }
    // The file that a symbolic link names is replaced, not the link.
    target = realpath(path, nullptr);
    if (target == nullptr) return false;
  }
#endif
  const char* const destination = target == nullptr ? path : target;
  const std::size_t length = std::strlen(destination);
  auto* const beside = static_cast<char*>(std::malloc(length + 6));
  bool done = beside != nullptr;
  if (done) {
    std::memcpy(beside, destination, length + 1);
    std::memcpy(beside + length, ".part", 6);
    std::FILE* const file = std::fopen(beside, "wb");
    done = file != nullptr;
    if (done) {
      done = write_content(file, path);
      done = std::fclose(file) == 0 && done;
      done = done && replace_file(beside, destination);
      if (!done) std::remove(beside);
    }
  }
  std::free(beside);
  std::free(target);
  return done;
}
