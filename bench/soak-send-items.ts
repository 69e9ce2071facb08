/** What is sent in the soak of sending: the name of an item tells its content. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { seededContent } from '../test/support/receive-content.ts'
import { between, type Random } from './soak-random.ts'

/** One thing to be sent. */
export interface SoakItem {
  readonly seed: number
  readonly size: number
  /** No other item of the same outbox has it. */
  readonly mark: string
}

const BLOCK_BYTES = 1_048_576
const HUGE_BYTES = 64_000_000

/** Mostly of some hundred kilobytes; empty, tiny and huge ones as well. */
export function drawSize(random: Random, mostBytes: number): number {
  const kind = random()
  if (kind < 0.08) return 0
  if (kind < 0.2) return Math.ceil(between(random, 0, 1000))
  if (kind < 0.21 && mostBytes > BLOCK_BYTES) return HUGE_BYTES
  return Math.ceil(between(random, 0, mostBytes))
}

export function nameOf({ seed, size, mark }: SoakItem): string {
  return `item-${seed}-${size}-${mark}.bin`
}

/** The item that a file was made from; undefined for what no sender has sent. */
export function itemOf(fileName: string): SoakItem | undefined {
  const [, seed, size, mark] = /^item-(\d+)-(\d+)-([\d.]+?)(?: \(\d+\))?\.bin$/.exec(fileName) ?? []
  if (mark === undefined) return undefined
  return { seed: Number(seed), size: Number(size), mark }
}

/** The content, piece by piece. */
export function* piecesOf(
  { seed, size }: SoakItem,
  pieceBytes: number = BLOCK_BYTES,
): Generator<Buffer> {
  for (let start = 0; start < size; start += pieceBytes) {
    yield seededContent(seed, start, Math.min(size, start + pieceBytes))
  }
}

/** SHA-256 of what was to be sent. */
export function digestOfItem(item: SoakItem): string {
  const hash = createHash('sha256')
  for (const piece of piecesOf(item)) hash.update(piece)
  return hash.digest('hex')
}

/** SHA-256 of what has come. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
