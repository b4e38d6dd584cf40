// SPDX-License-Identifier: Apache-2.0
// nnrdec: NNC streams to safetensors or NPZ files, over nnr.h alone.
//
//   nnrdec [--shape=NAME=2x3]... INPUT... --to OUTPUT...      several inputs are a sequence of updates, decoded in order
//   nnrdec --info INPUT...
//
// Exit codes: 0 decoded, 1 rejected, 2 usage, 69 not supported, 74 a file cannot be read or written. On exit 1 and 69 the last
// line on stderr is `nnr-error: CLASS bit=N stage=STAGE stream=K TEXT`.
#include <nnr.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tensor_files.hpp"

namespace {

constexpr int kRejected = 1;
constexpr int kUsage = 2;
constexpr int kUnsupported = 69;
constexpr int kFileError = 74;

void print_usage(std::FILE* file) {
  std::fputs(
      "usage: nnrdec [--levels] [--shape=NAME=2x3]... INPUT... --to OUTPUT...\n"
      "       nnrdec --info INPUT...\n"
      "       nnrdec --version | --help\n"
      "\n"
      "Decodes NNC streams (ISO/IEC 15938-17). An output that ends in .npz is an NPZ file, any other a safetensors file.\n"
      "Several inputs are a sequence of incremental updates. With --levels the tensors are those that the units code: "
      "value:NAME\n"
      "has float32 or int32 values and level:NAME the levels. --shape is the shape of a tensor whose dimensions are not in the\n"
      "stream; NAME= is that of a scalar.\n",
      file);
}

int usage() {
  print_usage(stderr);
  return kUsage;
}

int file_error(const char* path) {
  std::fprintf(stderr, "nnrdec: ");
  std::perror(path);
  return kFileError;
}

int reject(const nnr_error& error, int stream) {
  if (error.status == NNR_MEMORY) {
    std::fputs("nnr-error: limit out of memory\n", stderr);
    return kRejected;
  }
  std::fprintf(stderr, "nnr-error: %s bit=%llu stage=%s stream=%d unit %llu, %s: %s (%s)\n", nnr_status_name(error.status),
               static_cast<unsigned long long>(error.bit_offset), nnr_stage_name(error.stage), stream,
               static_cast<unsigned long long>(error.unit), error.element, error.text, error.clause);
  return error.status == NNR_UNSUPPORTED ? kUnsupported : kRejected;
}

// A file's content; null after an error. To be freed.
unsigned char* read_file(const char* path, std::size_t& size) {
  std::FILE* const file = std::fopen(path, "rb");
  if (file == nullptr) return nullptr;
  std::size_t room = 1U << 16;
  auto* content = static_cast<unsigned char*>(std::malloc(room));
  size = 0;
  while (content != nullptr) {
    size += std::fread(content + size, 1, room - size, file);
    if (size < room) break;
    room *= 2;
    auto* const grown = static_cast<unsigned char*>(std::realloc(content, room));
    if (grown == nullptr) std::free(content);
    content = grown;
  }
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) {
    std::free(content);
    content = nullptr;
  }
  return content;
}

constexpr char kShape[] = "--shape=";

// The options of the command line, among them those of shapes.
struct Arguments {
  char** options;
  int count;
};

// The next size of `2x3`; false at another text.
bool read_size(const char*& text, std::uint64_t& size) {
  if (*text < '0' || *text > '9') return false;
  size = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    const auto digit = static_cast<std::uint64_t>(*text - '0');
    if (size > (UINT64_MAX - digit) / 10) return false;
    size = 10 * size + digit;
  }
  if (*text == 'x') return *++text != 0;
  return *text == 0;
}

// Reads `NAME=2x3`: the number of dimensions, of which at most `capacity` are written; negative for another text.
int read_shape(const char* text, std::uint64_t* shape, std::size_t capacity) {
  const char* sizes = std::strrchr(text, '=');
  if (sizes == nullptr) return -1;
  int count = 0;
  for (++sizes; *sizes != 0; ++count) {
    std::uint64_t size = 0;
    if (!read_size(sizes, size)) return -1;
    if (static_cast<std::size_t>(count) < capacity) shape[count] = size;
  }
  return count;
}

bool is_shape(const char* argument) {
  return std::strncmp(argument, kShape, sizeof kShape - 1) == 0 && read_shape(argument + sizeof kShape - 1, nullptr, 0) >= 0;
}

// Shape of a tensor in the options of the command line.
int find_shape(void* opaque, const char* name, std::uint64_t* shape, std::size_t capacity) {
  const auto* const arguments = static_cast<const Arguments*>(opaque);
  const std::size_t size = std::strlen(name);
  for (int i = 0; i < arguments->count; ++i) {
    if (!is_shape(arguments->options[i])) continue;
    const char* const text = arguments->options[i] + sizeof kShape - 1;
    const bool is_named = static_cast<std::size_t>(std::strrchr(text, '=') - text) == size && std::memcmp(text, name, size) == 0;
    if (is_named) return read_shape(text, shape, capacity);
  }
  return -1;
}

// The tensors of one stream, to be written when the stream is decoded.
nnr_status collect(nnr_decoder* decoder, bool with_levels, TensorFile& file, nnr_error* error) {
  nnr_status status = nnr_decoder_next(decoder, error);
  for (; status == NNR_OK; status = nnr_decoder_next(decoder, error)) {
    void* buffers[16] = {};
    const std::size_t count = nnr_decoder_size(decoder);
    bool has_room = count <= 16;
    for (std::size_t i = 0; i < count && has_room; ++i)
      has_room = (buffers[i] = file.add(*nnr_decoder_tensor(decoder, i), with_levels ? "value:" : "")) != nullptr;
    if (!has_room) {
      error->status = NNR_MEMORY;
      return NNR_MEMORY;
    }
    status = nnr_decoder_read(decoder, with_levels ? NNR_LEVELS : NNR_VALUES, buffers, error);
    if (status != NNR_OK) return status;
    if (with_levels && !file.keep_levels(decoder, buffers, count)) {
      error->status = NNR_MEMORY;
      return NNR_MEMORY;
    }
  }
  return status;
}

int decode(char** inputs, char** outputs, int count, bool with_levels, Arguments& arguments) {
  nnr_options options = nnr_default_options();
  options.shape_source = find_shape;
  options.shape_source_opaque = &arguments;
  options.view = with_levels ? NNR_CODED : NNR_SOURCE;
  nnr_decoder* const decoder = nnr_decoder_create(&options);
  if (decoder == nullptr) {
    nnr_error error = {};
    error.status = NNR_MEMORY;
    return reject(error, 0);
  }
  int code = 0;
  for (int i = 0; i < count && code == 0; ++i) {
    std::size_t size = 0;
    unsigned char* const stream = read_file(inputs[i], size);
    if (stream == nullptr) {
      code = file_error(inputs[i]);
      break;
    }
    TensorFile file;
    nnr_error error = {};
    nnr_status status = nnr_decoder_open(decoder, stream, size, &error);
    if (status == NNR_OK) status = collect(decoder, with_levels, file, &error);
    if (status != NNR_END) code = reject(error, i);
    if (code == 0 && !file.can_write(outputs[i])) {
      std::fprintf(stderr, "nnrdec: %s: safetensors reserves the name of a tensor, __metadata__\n", outputs[i]);
      code = kFileError;
    }
    if (code == 0 && !file.write(outputs[i])) code = file_error(outputs[i]);
    std::free(stream);
  }
  nnr_decoder_free(decoder);
  return code;
}

// Prints a text of the stream without control characters, which a terminal may obey.
void print_text(const char* text, std::size_t n_bytes) {
  for (std::size_t i = 0; i < n_bytes; ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
    const bool is_c1 = octet == 0xC2 && i + 1 < n_bytes && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (is_c1)
      std::printf("\\x%02x", static_cast<unsigned char>(text[++i]));
    else if (octet < 0x20 || octet == 0x7F || octet == '\\')
      std::printf("\\x%02x", octet);
    else
      std::putchar(octet);
  }
}

int show_info(char** inputs, int count) {
  static constexpr const char* kCodings[] = {"raw", "integer", "uniform", "codebook", "carried"};
  for (int i = 0; i < count; ++i) {
    std::size_t size = 0;
    unsigned char* const stream = read_file(inputs[i], size);
    if (stream == nullptr) return file_error(inputs[i]);
    nnr_decoder* const decoder = nnr_decoder_create(nullptr);
    nnr_error error = {};
    error.status = NNR_MEMORY;
    nnr_status status = decoder == nullptr ? NNR_MEMORY : nnr_decoder_open(decoder, stream, size, &error);
    if (status == NNR_OK) {
      nnr_decoder_headers_only(decoder);
      while ((status = nnr_decoder_next(decoder, &error)) == NNR_OK) {
        for (std::size_t j = 0; j < nnr_decoder_size(decoder); ++j) {
          const nnr_tensor& tensor = *nnr_decoder_tensor(decoder, j);
          print_text(tensor.name, tensor.name_bytes);
          std::putchar('\t');
          print_text(tensor.type_name, std::strlen(tensor.type_name));
          std::printf("\t%s\t[", kCodings[tensor.coding]);
          for (std::size_t k = 0; k < tensor.n_dimensions; ++k)
            std::printf(k == 0 ? "%llu" : ", %llu", static_cast<unsigned long long>(tensor.shape[k]));
          std::printf("]\n");
        }
      }
    }
    nnr_decoder_free(decoder);
    std::free(stream);
    if (status != NNR_END) return reject(error, i);
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : file_error("standard output");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    print_usage(stdout);
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("nnrdec %u.%u.%u\n", nnr_version() / 10000, nnr_version() / 100 % 100, nnr_version() % 100);
    return 0;
  }
  bool info = false, levels = false;
  int first = 1;
  for (; first < argc && std::strncmp(argv[first], "--", 2) == 0; ++first) {
    if (std::strcmp(argv[first], "--info") == 0)
      info = true;
    else if (std::strcmp(argv[first], "--levels") == 0)
      levels = true;
    else if (!is_shape(argv[first]))
      return usage();
  }
  if (info) return first < argc ? show_info(argv + first, argc - first) : usage();
  int to = first;
  while (to < argc && std::strcmp(argv[to], "--to") != 0) ++to;
  const int count = to - first;
  if (to == argc || count == 0 || argc - to - 1 != count) return usage();
  Arguments arguments = {argv + 1, first - 1};
  return decode(argv + first, argv + to + 1, count, levels, arguments);
}
