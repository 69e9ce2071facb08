/** What uppy-page.js offers to tests. */

/** Where a page uploads to, and what: the bytes of numbered-bytes.ts. */
export interface PageUpload {
  readonly endpoint: string
  readonly key: string
  readonly name: string
  readonly size: number
}

/** On the window of the page. */
export interface UploadPage {
  /** Resolves with what went wrong, or undefined. */
  uploadWithUppy(upload: PageUpload): Promise<string | undefined>
  /** Resolves with every status, and with the digest that the server tells. */
  uploadByDraft(
    upload: PageUpload,
  ): Promise<{ readonly statuses: readonly number[]; readonly digest: string | null }>
}
