import { distance } from "fastest-levenshtein";

/** The candidate that was probably meant, or null when none is near. */
export function suggest(word: string, candidates: readonly string[]): string | null {
  const typed = word.toLowerCase();
  const short = shortFor(typed, candidates);
  if (short !== null) return short;
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

/** What is short for exactly one candidate: its beginning, or the initials of its words. */
function shortFor(typed: string, candidates: readonly string[]): string | null {
  const begun = plain(typed);
  const fitting = candidates.filter((candidate) => {
    const words = candidate.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    const initials = words.map((part) => part[0]).join("");
    return (
      (begun.length >= 3 && plain(candidate).startsWith(begun)) ||
      (words.length > 1 && initials === typed)
    );
  });
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}

function plain(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, "");
}

function letters(word: string): string {
  return [...word].toSorted().join("");
}
