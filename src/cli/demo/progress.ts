import type { DemoProgress } from "./run-demo.ts";
import { drawBar, paint, type TerminalStyle } from "./terminal.ts";

export interface ProgressDisplay {
  update(progress: DemoProgress): void;
  /** A line that stays. */
  note(text: string): void;
  /** Removes the bar; lines that were printed stay. */
  clear(): void;
}

const BAR_WIDTH = 24;
const ERASE_LINE = "\r\x1b[K";

/** A bar that is redrawn in place on a terminal; elsewhere one line for every step. */
export function createProgressDisplay(
  write: (text: string) => void,
  style: TerminalStyle,
): ProgressDisplay {
  let shown = "";
  return {
    update(progress) {
      const text = style.blocks ? barLine(progress, style) : stepLine(progress);
      if (text === shown) return;
      shown = text;
      write(style.blocks ? `${ERASE_LINE}${text}` : `${text}\n`);
    },
    note(text) {
      this.clear();
      write(`demo: ${text}\n`);
    },
    clear() {
      if (style.blocks && shown !== "") write(ERASE_LINE);
      shown = "";
    },
  };
}

function barLine(progress: DemoProgress, style: TerminalStyle): string {
  const bar = drawBar(style, progress.fraction, 1, BAR_WIDTH).padEnd(BAR_WIDTH, "·");
  const percent = `${Math.floor(progress.fraction * 100)} %`.padStart(5);
  const room = Math.max(0, style.columns - BAR_WIDTH - percent.length - 3);
  return `${paint(style, "cyan", bar)} ${percent} ${step(progress).slice(0, room)}`;
}

function stepLine(progress: DemoProgress): string {
  return `demo: ${step(progress)}`;
}

function step({ row, rowIndex, rowCount, phase }: DemoProgress): string {
  return `run ${rowIndex + 1} of ${rowCount}, ${row.label}: ${phase}`;
}
