// SPDX-License-Identifier: Apache-2.0
#include "hash.hpp"

#include <cstddef>
#include <cstring>

namespace nnr {

namespace {

// Fractional parts of the cube roots of the first 80 primes, and of the square roots of the first 8. SHA-256 uses the upper
// halves, and of the former 64.
constexpr std::uint64_t kRounds[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019,
    0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3,
    0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
    0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb,
    0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207,
    0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a,
    0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};
constexpr std::uint64_t kInitial[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

struct Sha256 {
  using Word = std::uint32_t;
  static constexpr int kRoundCount = 64;
  static constexpr int kConstantShift = 32;
  static constexpr int kBig0[3] = {2, 13, 22};
  static constexpr int kBig1[3] = {6, 11, 25};
  static constexpr int kSmall0[3] = {7, 18, 3};
  static constexpr int kSmall1[3] = {17, 19, 10};
};

struct Sha512 {
  using Word = std::uint64_t;
  static constexpr int kRoundCount = 80;
  static constexpr int kConstantShift = 0;
  static constexpr int kBig0[3] = {28, 34, 39};
  static constexpr int kBig1[3] = {14, 18, 41};
  static constexpr int kSmall0[3] = {1, 8, 7};
  static constexpr int kSmall1[3] = {19, 61, 6};
};

template <class Word>
Word rotate(Word x, int n) {
  return static_cast<Word>(x >> n | x << (8 * static_cast<int>(sizeof(Word)) - n));
}

template <class Sha>
void compress(typename Sha::Word state[8], const std::uint8_t* block) {
  using Word = typename Sha::Word;
  constexpr int kBytes = sizeof(Word);
  Word w[Sha::kRoundCount];
  for (int i = 0; i < 16; ++i) {
    w[i] = 0;
    for (int j = 0; j < kBytes; ++j) w[i] = static_cast<Word>(w[i] << 8 | block[kBytes * i + j]);
  }
  for (int i = 16; i < Sha::kRoundCount; ++i) {
    const Word a = w[i - 15], b = w[i - 2];
    const Word s0 = rotate(a, Sha::kSmall0[0]) ^ rotate(a, Sha::kSmall0[1]) ^ a >> Sha::kSmall0[2];
    const Word s1 = rotate(b, Sha::kSmall1[0]) ^ rotate(b, Sha::kSmall1[1]) ^ b >> Sha::kSmall1[2];
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  Word v[8];
  std::memcpy(v, state, sizeof v);
  for (int i = 0; i < Sha::kRoundCount; ++i) {
    const Word e = v[4], a = v[0];
    const Word s1 = rotate(e, Sha::kBig1[0]) ^ rotate(e, Sha::kBig1[1]) ^ rotate(e, Sha::kBig1[2]);
    const Word s0 = rotate(a, Sha::kBig0[0]) ^ rotate(a, Sha::kBig0[1]) ^ rotate(a, Sha::kBig0[2]);
    const Word t1 = v[7] + s1 + ((e & v[5]) ^ (~e & v[6])) + static_cast<Word>(kRounds[i] >> Sha::kConstantShift) + w[i];
    const Word t2 = s0 + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    for (int j = 7; j > 0; --j) v[j] = v[j - 1];
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; ++i) state[i] += v[i];
}

template <class Sha>
void hash(std::span<const std::uint8_t> message, std::uint8_t* digest) {
  using Word = typename Sha::Word;
  constexpr std::size_t kBlock = 16 * sizeof(Word);
  Word state[8];
  for (int i = 0; i < 8; ++i) state[i] = static_cast<Word>(kInitial[i] >> Sha::kConstantShift);
  const std::size_t whole = message.size() / kBlock * kBlock;
  for (std::size_t i = 0; i < whole; i += kBlock) compress<Sha>(state, message.data() + i);
  // The rest, a bit equal to 1, zeros, and the length in bits.
  std::uint8_t tail[2 * kBlock] = {};
  const std::size_t rest = message.size() - whole;
  if (rest > 0) std::memcpy(tail, message.data() + whole, rest);
  tail[rest] = 0x80;
  const std::size_t n_bytes = rest + 1 + 2 * sizeof(Word) <= kBlock ? kBlock : 2 * kBlock;
  std::uint64_t n_bits = std::uint64_t{8} * message.size();
  for (std::size_t i = n_bytes; n_bits > 0; n_bits >>= 8) tail[--i] = static_cast<std::uint8_t>(n_bits);
  for (std::size_t i = 0; i < n_bytes; i += kBlock) compress<Sha>(state, tail + i);
  for (std::size_t i = 0; i < 8 * sizeof(Word); ++i)
    digest[i] = static_cast<std::uint8_t>(state[i / sizeof(Word)] >> (8 * (sizeof(Word) - 1 - i % sizeof(Word))));
}

}  // namespace

void sha256(std::span<const std::uint8_t> message, std::uint8_t digest[32]) { hash<Sha256>(message, digest); }
void sha512(std::span<const std::uint8_t> message, std::uint8_t digest[64]) { hash<Sha512>(message, digest); }

}  // namespace nnr
