/** What node-origin-main.ts and those who ask it have in common. */

/** What POST /sink tells of a request. */
export interface Receipt {
  readonly method: string
  readonly length: number
  readonly sha256: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly trailers: Readonly<Record<string, string | undefined>>
}

/** How long POST /late keeps its 100 (Continue) back. */
export const LATE_CONTINUE_MS = 150

/** Length of each field of GET /fields: four of them take more than one frame of HTTP/2. */
export const FIELD_LENGTH = 7000
