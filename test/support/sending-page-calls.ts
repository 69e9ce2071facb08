/** What sending-page.ts offers to tests, on the window of the page: values as JSON takes them. */

/** A client of the page. */
export interface PageClient {
  readonly protocol?: 'indexedcp' | 'tus' | 'ietf'
  readonly parallel?: number
  readonly files?: number
  readonly checksum?: boolean
  readonly chunkBytes?: number
  readonly stallTimeoutMs?: number
  readonly answerTimeoutMs?: number
  readonly retryDelayMs?: number
  readonly maxRetries?: number
  readonly offline?: 'wait' | 'fail'
  readonly limitBytesPerSecond?: number
  /** Given one after another, the next when one is refused. */
  readonly keys?: readonly string[]
}

/** The bytes of numbered-bytes.ts under a name. */
export interface PageFile {
  readonly name: string
  readonly size: number
  /** @defaultValue as a File */
  readonly isStream?: boolean
}

/** A value, or what an error says. */
export interface PageOutcome<Value> {
  readonly value?: Value
  readonly code?: string
  readonly message?: string
}

/** What the client has told so far. */
export interface PageReport {
  /** Types of events, each with the state, reason or protocol that it names: `retry offline`. */
  readonly events: readonly string[]
  /** By name: what the server has acknowledged, as it was told last. */
  readonly acknowledged: Readonly<Record<string, number>>
  readonly completed: readonly PageResult[]
  /** Names and codes. */
  readonly errors: readonly string[]
}

export interface PageResult {
  readonly name: string
  readonly protocol: string
  readonly resumedBytes: number
  readonly transmittedBytes: number
}

export interface SendingPage {
  /** Makes the client that all other calls use. */
  open(client: PageClient): void
  /** Resolves with the ids. */
  add(files: readonly PageFile[]): Promise<PageOutcome<string[]>>
  /** Takes the file that was chosen in the input of the page: into the outbox, or past it. */
  addChosen(): Promise<PageOutcome<string>>
  uploadChosen(url: string, client: PageClient): Promise<PageOutcome<PageResult>>
  send(url: string): Promise<PageOutcome<Record<string, string>>>
  /** Sends bytes past the outbox. */
  upload(url: string, size: number, client: PageClient): Promise<PageOutcome<PageResult>>
  start(url: string): void
  stop(): Promise<PageOutcome<void>>
  pause(): void
  resume(): void
  cancel(): void
  /** Without an argument there is no limit any more. */
  limit(bytesPerSecond?: number): void
  remove(id: string): Promise<PageOutcome<boolean>>
  list(): Promise<string[]>
  report(): PageReport
  /** Makes another call in a worker, which has a client of its own. */
  inWorker(name: string, ...args: unknown[]): Promise<unknown>
}
