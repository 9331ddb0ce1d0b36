/** One end of a TCP connection. */
export interface Endpoint {
  /** IP address; IPv4-mapped IPv6 is written as IPv4. */
  readonly address: string;
  readonly port: number;
}
