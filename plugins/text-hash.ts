/**
 * 32 bits of a text, the same on every machine and in every version: backends are found again by it.
 * MurmurHash3_x86_32 by Austin Appleby (`smhasher/src/MurmurHash3.cpp`) over UTF-16 code units, two to
 * a block. Not for secrets; whoever chooses the texts can make them collide.
 */
export function hashText(text: string, seed = 0): number {
  let hash = seed | 0;
  const pairs = text.length & ~1;
  for (let index = 0; index < pairs; index += 2) {
    hash ^= scramble(text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16));
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  if (pairs < text.length) hash ^= scramble(text.charCodeAt(pairs));
  return finish(hash ^ (text.length * 2));
}

/** 32 bits of two hashes, which may be alike in all but a bit. */
export function mixHashes(one: number, other: number): number {
  return finish(Math.imul(finish(one ^ other), 0x9e3779b1) ^ other);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

/** The finalizer of MurmurHash3: every bit of the input moves half of the output's. */
function finish(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
