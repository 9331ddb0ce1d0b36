import type { HistogramSeries } from "./region-writer.ts";

type ByError = Map<string | null, HistogramSeries>;

/** Histograms by method, status and error, found again without making anything. */
export class DurationSeries {
  readonly #create: (
    method: string,
    status: number | null,
    error: string | null,
  ) => HistogramSeries;
  readonly #series = new Map<string, Map<number | null, ByError>>();

  constructor(
    create: (method: string, status: number | null, error: string | null) => HistogramSeries,
  ) {
    this.#create = create;
  }

  of(method: string, status: number | null, error: string | null): HistogramSeries {
    return this.#series.get(method)?.get(status)?.get(error) ?? this.#add(method, status, error);
  }

  #add(method: string, status: number | null, error: string | null): HistogramSeries {
    const byStatus = this.#series.get(method) ?? new Map<number | null, ByError>();
    this.#series.set(method, byStatus);
    const byError: ByError = byStatus.get(status) ?? new Map();
    byStatus.set(status, byError);
    const series = this.#create(method, status, error);
    byError.set(error, series);
    return series;
  }
}
