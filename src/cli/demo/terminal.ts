/** What the place that is written to can show. */
export interface TerminalStyle {
  readonly colour: boolean;
  /** Block characters instead of ASCII. */
  readonly blocks: boolean;
  readonly columns: number;
}

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } satisfies Record<
  Colour,
  number
>;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const DEFAULT_COLUMNS = 80;

/** Plain text unless a terminal is there; https://no-color.org for the variable. */
export function terminalStyle(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): TerminalStyle {
  const terminal = stream.isTTY === true && env["TERM"] !== "dumb";
  return {
    colour: terminal && (env["NO_COLOR"] ?? "") === "",
    blocks: terminal,
    // 0 when the terminal does not tell.
    columns: stream.columns || DEFAULT_COLUMNS,
  };
}

export function paint(style: TerminalStyle, colour: Colour, text: string): string {
  return style.colour ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
}

/** A bar of `value / max` of `width` characters. Above 0 it is never empty. */
export function drawBar(style: TerminalStyle, value: number, max: number, width: number): string {
  if (value <= 0 || max <= 0) return "";
  const length = Math.min(1, value / max) * width;
  if (!style.blocks) return "#".repeat(Math.max(1, Math.round(length)));
  const eighths = Math.max(1, Math.round(length * 8));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
}
