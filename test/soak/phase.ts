/** The parts of a run: everything is done to the workers, then they are left alone and their memory is watched. */

/** Within one that is left alone for less than that, growth cannot be told from a heap that finds its size. */
export const LEAST_CALM_MINUTES = 6;

const ROUGH_MINUTES = 5;
const CALM_MINUTES = 15;

/** Whether workers live through that minute, the first of which is 1. A short run is rough all along. */
export function isCalm(minute: number, minutes: number): boolean {
  const cycle = ROUGH_MINUTES + CALM_MINUTES;
  if (minutes >= cycle) return (minute - 1) % cycle >= ROUGH_MINUTES;
  const rough = Math.ceil(minutes / 4);
  return minutes - rough >= LEAST_CALM_MINUTES && minute > rough;
}

/** Whether there are such minutes in a run of so many. */
export function hasCalm(minutes: number): boolean {
  return Array.from({ length: minutes }, (_, index) => index + 1).some((minute) =>
    isCalm(minute, minutes),
  );
}
