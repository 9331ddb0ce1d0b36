/** What has a share: a weight above 0, twice the weight is twice the share. */
export interface Weighted {
  readonly weight: number;
}
