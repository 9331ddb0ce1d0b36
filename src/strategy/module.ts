/** A strategy's code, ready to be imported; plain data that travels from the master to the workers. */
export type StrategyModule =
  | { readonly kind: "built-in"; readonly name: string }
  | {
      readonly kind: "file";
      /** The user's file, absolute. */
      readonly source: string;
      /** The bundle made of it and its imports, absolute. */
      readonly path: string;
      /** Hash of the bundle. */
      readonly version: string;
    };

/** What is known of a strategy once its file has been evaluated; shown in status, spans and logs. */
export interface StrategyDescription {
  readonly name: string;
  /** Hash of the bundle, or the program's version for a built-in. */
  readonly version: string;
  /** `built-in`, or the user's file. */
  readonly source: string;
}
