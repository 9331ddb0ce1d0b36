/** What became of a text: a value, or what is allowed instead and, where it helps, why this was not. */
export type Parsed<T> =
  { readonly value: T } | { readonly allowed: string; readonly reason?: string };
