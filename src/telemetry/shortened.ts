/** What a stranger says is quoted up to here. */
const LONGEST = 200;

/** For a log: the beginning of a text, and how much of it is left out. */
export function shortened(text: string): string {
  if (text.length <= LONGEST) return text;
  return `${text.slice(0, LONGEST).toWellFormed()}… (${text.length - LONGEST} characters left out)`;
}
