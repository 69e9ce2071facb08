/** What outbox-page.ts offers to tests, on the window of the page. */
import type { OutboxItem } from '../../packages/ferry/src/upload/outbox.ts'

/** Bytes that count up to 250 and begin again, or ones that nothing makes smaller. */
export interface PageItem {
  readonly name: string
  readonly size: number
  readonly partBytes: number
  readonly isRandom?: boolean
}

/** A part without its bytes, which are many, but for the first of them. */
export interface PagePart {
  readonly offset: number
  readonly length: number
  readonly head: readonly number[]
  readonly sha256: string
}

/** A value, or the code or name of an error. */
export interface Outcome<Value> {
  readonly value?: Value
  readonly code?: string
}

export interface OutboxPage {
  add(items: readonly PageItem[]): Promise<Outcome<OutboxItem[]>>
  /** Adds what never comes to its end; resolves when some parts are kept. */
  addEndless(name: string, partBytes: number): Promise<void>
  /**
   * Adds something while another outbox is opened, which looks at what is being added before its end, and
   * at who is adding after it.
   */
  addWhileOpening(name: string): Promise<Outcome<OutboxItem[]>>
  list(): Promise<Outcome<OutboxItem[]>>
  lease(id: string): Promise<Outcome<boolean>>
  release(id: string): Promise<Outcome<void>>
  readPart(id: string, index: number): Promise<Outcome<PagePart>>
  dropParts(id: string, offset: number): Promise<Outcome<void>>
  setNote(id: string, note: unknown): Promise<Outcome<void>>
  done(id: string): Promise<Outcome<void>>
  remove(id: string): Promise<Outcome<boolean>>
  close(): Promise<Outcome<void>>
  countRecords(): Promise<number>
}
