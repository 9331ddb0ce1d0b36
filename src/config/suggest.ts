import { distance } from "fastest-levenshtein";

/** The candidate that was probably meant, or null when none is near. */
export function suggest(word: string, candidates: readonly string[]): string | null {
  const typed = word.toLowerCase();
  let best: string | null = null;
  // A third of the letters: "lisen" is listen, "tls" is not url.
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const candidate of candidates) {
    const other = candidate.toLowerCase();
    // Two letters swapped ("ulr") are one slip, though two edits.
    const found = letters(typed) === letters(other) ? 1 : distance(typed, other);
    if (found < bestDistance) [best, bestDistance] = [candidate, found];
  }
  return best;
}

/** `; did you mean "listen"?`, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const meant = suggest(word, candidates);
  return meant === null ? "" : `; did you mean ${JSON.stringify(meant)}?`;
}

function letters(word: string): string {
  return [...word].toSorted().join("");
}
