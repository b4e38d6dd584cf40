/* SPDX-License-Identifier: Apache-2.0 */
/* libnnr: a decoder of ISO/IEC 15938-17 (Neural Network Coding, NNC), editions 1 and 2. */
#ifndef NNR_H
#define NNR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NNR_API
#if defined(_WIN32) && defined(NNR_SHARED)
#ifdef NNR_BUILD
#define NNR_API __declspec(dllexport)
#else
#define NNR_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define NNR_API __attribute__((visibility("default")))
#else
#define NNR_API
#endif
#endif

/* ---- Introduction ---------------------------------------------------------------------------------------------------

   An NNC stream holds the tensors of a neural network, entropy-coded. libnnr turns a stream in memory into tensors in
   memory. It is used in four ways:

   1. nnr_decode() decodes a whole stream in one call and returns an nnr_model, which owns the tensors.
   2. nnr_decoder walks a stream unit by unit. nnr_decoder_next() parses the header of the next data unit, after which the
      names, shapes and sizes of its tensors are known. nnr_decoder_read() decodes the unit into buffers of the caller. A
      caller that never calls nnr_decoder_read() reads headers only; one that calls it for one unit decodes one tensor.
   3. A stream that arrives in pieces is pushed into the same nnr_decoder, which hands out each data unit when it is complete
      and keeps no more bytes than that.
   4. Streams of incremental updates are opened one after the other in the same nnr_decoder, which remembers what later
      updates refer to.

   Tensors are in C order. The format codes float32 and int32 only; encoders of the nnr family describe the tensors' own types,
   shapes and names in topology units, and carry what the format cannot code. By default tensors come back as they were in their
   source. Tensors come as the stream carries them: low-rank factors are not multiplied and local scalings not applied, unless
   nnr_options.recompose asks nnr_decode() for it; batch norm is never folded.

   Threads: libnnr has no global state and starts none, unless nnr_options.threads lets nnr_decode() do it. An object may be
   used by one thread at a time; different objects may be used at once.

   Errors: a function that can fail returns an nnr_status and fills an nnr_error, whose pointer may be NULL. Streams from
   strangers are expected: every read is bounded, and nnr_limits are checked before memory is allocated. An object that is NULL,
   because its creation failed, counts as an empty one: no function dereferences it.

   ABI: functions and the layout of structs stay as they are within a major version. A struct that may grow starts with its
   size, which its initialiser sets. */

/* ---- Version ------------------------------------------------------------------------------------------------------ */

#define NNR_VERSION_MAJOR 0
#define NNR_VERSION_MINOR 1
#define NNR_VERSION_PATCH 0
#define NNR_VERSION_NUMBER (NNR_VERSION_MAJOR * 10000 + NNR_VERSION_MINOR * 100 + NNR_VERSION_PATCH)

/* NNR_VERSION_NUMBER of the library that runs. */
NNR_API uint32_t nnr_version(void);

/* ---- Errors ------------------------------------------------------------------------------------------------------- */

typedef enum nnr_status {
  NNR_OK = 0,
  NNR_END = 1,         /* no data unit follows: not an error */
  NNR_TRUNCATED = 2,   /* the stream ends before the element that is being read */
  NNR_MALFORMED = 3,   /* a value or a combination of values that the format forbids */
  NNR_UNSUPPORTED = 4, /* allowed by the format, not implemented */
  NNR_LIMIT = 5,       /* allowed by the format, beyond nnr_limits */
  NNR_MEMORY = 6,      /* the allocator returned NULL */
  NNR_ARGUMENT = 7,    /* a call that this header forbids */
  NNR_MORE = 8         /* the next data unit is not complete: push more bytes. Not an error */
} nnr_status;

typedef enum nnr_stage {
  NNR_STAGE_NONE = 0,
  NNR_STAGE_FRAMING = 1,        /* units, their sizes and parts */
  NNR_STAGE_HEADER = 2,         /* unit headers, parameter sets, topology */
  NNR_STAGE_PAYLOAD = 3,        /* codewords and raw values */
  NNR_STAGE_RECONSTRUCTION = 4, /* levels to values */
  NNR_STAGE_SEQUENCE = 5        /* state of earlier streams */
} nnr_stage;

typedef struct nnr_error {
  nnr_status status;
  nnr_stage stage;
  uint64_t bit_offset; /* from the stream's first bit, the most significant bit of its first byte */
  uint64_t unit;       /* index of the unit, 0 for the start unit */
  const char* element; /* syntax element, spelled as in the standard; a static string, empty where none is concerned */
  const char* clause;  /* clause of the specification; a static string */
  const char* text;    /* one sentence; a static string */
} nnr_error;

/* The name of a status: "truncated". A static string, never NULL. */
NNR_API const char* nnr_status_name(nnr_status status);
/* The name of a stage: "framing". A static string, never NULL. */
NNR_API const char* nnr_stage_name(nnr_stage stage);

/* ---- Options ------------------------------------------------------------------------------------------------------ */

/* A limit that bounds nothing. */
#define NNR_UNLIMITED UINT64_MAX

/* Bounds on what a stream may cost, checked before anything is allocated. */
typedef struct nnr_limits {
  uint64_t max_stream_bytes;      /* whole stream; 2^40 */
  uint64_t max_units;             /* units of a stream; 2^19 */
  uint64_t max_unit_bytes;        /* one unit, joined from its parts; 2^31 - 1 */
  uint64_t max_tensor_elements;   /* elements of one tensor; 2^35 */
  uint64_t max_total_elements;    /* elements of all tensors of a stream; 2^38 */
  uint64_t max_dimensions;        /* dimensions of a tensor; 32 */
  uint64_t max_names;             /* names in one list; 2^19 */
  uint64_t max_name_bytes;        /* bytes of one name or text; 2^12 */
  uint64_t max_codebook_size;     /* entries of a codebook; 2^16 */
  uint64_t max_topology_bytes;    /* topology or quantisation data after inflation; 2^24 */
  uint64_t max_expansion_ratio;   /* decoded bytes, 4 per element, for each byte of the stream; 2^20 */
  uint64_t expansion_floor_bytes; /* decoded size below which the ratio is not checked; 2^28 */
  uint64_t max_updates_kept;      /* remembered updates of one parameter; 8 */
} nnr_limits;

/* The default limits. They admit models of 100 GB and stop small streams that claim large ones. */
NNR_API nnr_limits nnr_default_limits(void);

/* The memory of the caller. Every block that libnnr needs comes from `allocate` and goes back to `release`.
   `allocate` returns memory aligned for any type, or NULL; `release` accepts what it returned. */
typedef struct nnr_allocator {
  void* (*allocate)(void* opaque, size_t n_bytes);
  void (*release)(void* opaque, void* block);
  void* opaque;
} nnr_allocator;

/* Shapes of tensors whose dimensions are not in the stream. Writes at most `capacity` dimensions to `shape` and returns
   their number, or -1 for a tensor that it does not know. */
typedef int (*nnr_shape_source)(void* opaque, const char* name, uint64_t* shape, size_t capacity);

typedef enum nnr_view {
  NNR_SOURCE = 0, /* names, shapes and types of the source, carried tensors included */
  NNR_CODED = 1   /* tensors of data units alone, with the names and shapes in them, float32 or int32: the view of a decoder
                     that skips topology units of unrecognised format */
} nnr_view;

typedef struct nnr_options {
  size_t struct_bytes;           /* sizeof(nnr_options) */
  nnr_limits limits;             /* nnr_default_limits() */
  nnr_allocator allocator;       /* malloc and free */
  nnr_shape_source shape_source; /* NULL: a unit without dimensions is malformed */
  void* shape_source_opaque;
  nnr_view view;      /* NNR_SOURCE */
  uint32_t threads;   /* 0: threads that nnr_decode() works on, the calling one included; 0 and 1 stand for that one alone.
                         Threads take a data unit each, and those without one take block rows of the others' units where
                         these have entry points. The allocator and the shape source are then called from all threads */
  int recompose;      /* 0; otherwise nnr_decode() returns the weights of local scalings and low-rank factors in place of these */
  double max_seconds; /* 0: wall time of a stream, checked before each unit; 0 stands for no bound */
} nnr_options;

/* Options with every default. */
NNR_API nnr_options nnr_default_options(void);

/* ---- Tensors ------------------------------------------------------------------------------------------------------ */

/* Types of elements. All but NNR_OPAQUE are in the byte order of the machine. */
typedef enum nnr_type {
  NNR_FLOAT32 = 0,
  NNR_INT32 = 1,
  NNR_FLOAT64 = 2,
  NNR_FLOAT16 = 3,     /* IEEE binary16 */
  NNR_BFLOAT16 = 4,    /* the upper half of a float32 */
  NNR_FLOAT8_E4M3 = 5, /* without infinities */
  NNR_FLOAT8_E5M2 = 6,
  NNR_BOOL = 7, /* one byte, 0 or 1 */
  NNR_UINT8 = 8,
  NNR_INT8 = 9,
  NNR_UINT16 = 10,
  NNR_INT16 = 11,
  NNR_UINT32 = 12,
  NNR_UINT64 = 13,
  NNR_INT64 = 14,
  NNR_OPAQUE = 15 /* carried bytes of another type, as they were stored; type_name tells which */
} nnr_type;

typedef enum nnr_coding {
  NNR_CODING_RAW = 0,      /* float32 values, stored as they are; no levels */
  NNR_CODING_INTEGER = 1,  /* int32 levels, which are the values */
  NNR_CODING_UNIFORM = 2,  /* value = step_size * level */
  NNR_CODING_CODEBOOK = 3, /* value = step_size * codebook[level + codebook_zero] */
  NNR_CODING_CARRIED = 4   /* stored bytes in topology units; no levels */
} nnr_coding;

/* What a tensor is in its unit. Blocks have several tensors; other units have a weight or one factor. */
typedef enum nnr_role {
  NNR_ROLE_WEIGHT = 0,
  NNR_ROLE_G = 1, /* low-rank factors: weight = G * H */
  NNR_ROLE_H = 2,
  NNR_ROLE_LOCAL_SCALING = 3, /* a factor for each row of the weight */
  NNR_ROLE_BETA = 4,          /* of batch normalisation */
  NNR_ROLE_GAMMA = 5,
  NNR_ROLE_MEAN = 6,
  NNR_ROLE_VAR = 7,
  NNR_ROLE_BIAS = 8
} nnr_role;

/* One tensor. Pointers belong to the object that returned it and live until the next call that changes that object. */
typedef struct nnr_tensor {
  const char* name; /* UTF-8, ended by a zero byte */
  size_t name_bytes;
  const uint64_t* shape;
  size_t n_dimensions; /* 0 for a scalar */
  uint64_t n_elements; /* product of the shape */
  nnr_type type;
  nnr_coding coding;
  double step_size; /* known once the unit is decoded; 1 without quantisation */
  int32_t qp;       /* quantisation parameter, likewise; 0 without quantisation */
  uint32_t qp_density;
  const int32_t* codebook; /* NULL without codebook */
  size_t codebook_size;
  size_t codebook_zero;
  const void* values;    /* of an nnr_model: n_bytes; NULL in an nnr_decoder */
  uint64_t n_bytes;      /* size of the values */
  const char* type_name; /* in the spelling of safetensors: "BF16", "F4"; ended by a zero byte */
  uint64_t unit;         /* index of its unit; of a carried tensor that of its last one */
  nnr_role role;
  const uint64_t* weight_shape; /* of a low-rank factor: the shape of the weight; else NULL */
  size_t n_weight_dimensions;
} nnr_tensor;

/* ---- One call ----------------------------------------------------------------------------------------------------- */

typedef struct nnr_model nnr_model;

/* Decodes one stream into a model, to be released by nnr_model_free().

   stream, stream_bytes: the whole stream; not kept.
   options: NULL for the defaults. NNR_ARGUMENT if struct_bytes is not set, or the allocator lacks a function.
   model: receives the model; NULL on failure.
   Returns NNR_OK or the first fault of the stream. A name that occurs in several units is that of the last one. The result does
   not depend on the number of threads. Recomposed weights are float32: products summed in binary64 in the order of the common
   dimension and rounded once. */
NNR_API nnr_status nnr_decode(const void* stream, size_t stream_bytes, const nnr_options* options, nnr_model** model,
                              nnr_error* error);
/* Number of tensors. */
NNR_API size_t nnr_model_size(const nnr_model* model);
/* A tensor, in the order of the stream; NULL from nnr_model_size() on. */
NNR_API const nnr_tensor* nnr_model_tensor(const nnr_model* model, size_t index);
/* The tensor of a name; NULL when there is none. */
NNR_API const nnr_tensor* nnr_model_find(const nnr_model* model, const char* name);
NNR_API void nnr_model_free(nnr_model* model);

/* ---- Decoder ------------------------------------------------------------------------------------------------------ */

typedef struct nnr_decoder nnr_decoder;

typedef enum nnr_content {
  NNR_VALUES = 0, /* values of the tensor's type */
  NNR_LEVELS = 1  /* int32 levels. Tensors without levels give what is coded: raw ones float32, carried ones their bytes */
} nnr_content;

/* Creates a decoder; NULL when memory is short, or for options that nnr_decode() refuses. `options` may be NULL. */
NNR_API nnr_decoder* nnr_decoder_create(const nnr_options* options);
NNR_API void nnr_decoder_free(nnr_decoder* decoder);

/* Starts the next stream of a sequence. The stream must stay in place until the next nnr_decoder_open() or
   nnr_decoder_free(). Updates remembered from earlier streams stay. */
NNR_API nnr_status nnr_decoder_open(nnr_decoder* decoder, const void* stream, size_t stream_bytes, nnr_error* error);

/* Reads up to the next data unit and parses its header. Returns NNR_OK, NNR_END behind the last unit, or the fault; after a
   fault the stream cannot be continued.
   In a stream whose units may be updated by later ones (parent signalling), a unit that was not read is decoded for the
   decoder's own memory first, unless nnr_decoder_headers_only() was called. */
NNR_API nnr_status nnr_decoder_next(nnr_decoder* decoder, nnr_error* error);

/* Starts the next stream of a sequence without its bytes, which are pushed as they arrive. Then nnr_decoder_next() returns
   NNR_MORE as long as the next data unit is not complete:

       nnr_decoder_open_for_pushing(decoder, &error);
       while ((n = receive(bytes)) > 0) {
         status = nnr_decoder_push(decoder, bytes, n, &error);
         while (status == NNR_OK && (status = nnr_decoder_next(decoder, &error)) == NNR_OK) take_tensors(decoder);
         if (status != NNR_MORE) return failed(&error);
       }
       nnr_decoder_finish(decoder);
       while ((status = nnr_decoder_next(decoder, &error)) == NNR_OK) take_tensors(decoder);

   Only max_expansion_ratio may judge otherwise than for the whole stream: it compares with the bytes pushed so far. */
NNR_API nnr_status nnr_decoder_open_for_pushing(nnr_decoder* decoder, nnr_error* error);
/* Copies bytes behind those pushed before. The current unit is gone, as after nnr_decoder_next(). */
NNR_API nnr_status nnr_decoder_push(nnr_decoder* decoder, const void* bytes, size_t n_bytes, nnr_error* error);
/* No more bytes will come. */
NNR_API void nnr_decoder_finish(nnr_decoder* decoder);

/* Makes nnr_decoder_next() of the open stream decode nothing, keep no carried tensor, and check no reference to earlier
   updates. Carried tensors, and units of streams with updates, can then not be read. */
NNR_API void nnr_decoder_headers_only(nnr_decoder* decoder);

/* Number of tensors of the current unit; more than one in a block unit, at most 9. */
NNR_API size_t nnr_decoder_size(const nnr_decoder* decoder);
/* A tensor of the current unit, in the order of its names; NULL from nnr_decoder_size() on. */
NNR_API const nnr_tensor* nnr_decoder_tensor(const nnr_decoder* decoder, size_t index);

/* Decodes the current unit, at most once.

   buffers: NULL to check the unit only; or for each tensor NULL, or memory for its content, aligned for its type: n_bytes for
   NNR_VALUES and for carried tensors, 4 * n_elements else. On failure the buffers hold anything. Afterwards the tensors'
   step_size and qp are known. */
NNR_API nnr_status nnr_decoder_read(nnr_decoder* decoder, nnr_content content, void* const* buffers, nnr_error* error);

/* general_profile_idc of the open stream; 0 before its start unit. */
NNR_API uint32_t nnr_decoder_profile(const nnr_decoder* decoder);

#ifdef __cplusplus
}
#endif

#endif
