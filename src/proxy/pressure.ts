/** Whether this process has room for more connections. */
export interface Pressure {
  /** There is little left: every answer ends its connection. */
  readonly shedding: boolean;
  /** There is next to none left: requests on new connections are refused. */
  readonly refusing: boolean;
  /** So little that they cannot even wait for room. */
  readonly full: boolean;
  /** A connection was opened, or is about to be. */
  opened(): void;
}
