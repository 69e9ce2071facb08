/** Our HPACK against Python's, which Debian has for its h2: each reads what the other writes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HpackDecoder } from '../../packages/ferry/src/protocol/http2/hpack-decoder.ts'
import { HpackEncoder } from '../../packages/ferry/src/protocol/http2/hpack-encoder.ts'
import type { HpackField } from '../../packages/ferry/src/protocol/http2/hpack-field.ts'
import { requireTool } from '../support/tools.ts'

type Line = readonly [name: string, value: string]

/** What one side sends in one block, and the table sizes that the other has asked for before it. */
interface Step {
  readonly tableSizes: readonly number[]
  readonly lines: readonly Line[]
  readonly huffman: boolean
}

const ORACLE = join(import.meta.dirname, '../support/hpack-oracle.py')
const STEPS = 400
const MAX_TABLE_BYTES = 16_384

interface Encoded {
  readonly block: string
  readonly tableBytes: number
}

interface Decoded {
  readonly fields: readonly (readonly [name: string, value: string, neverIndexed: boolean])[]
  readonly tableBytes: number
}

/** Python's encoder and decoder, in a process that ends when this is disposed of. */
class Oracle implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>

  constructor() {
    const modules = dirname(requireTool('python3-h2'))
    this.#child = spawn(requireTool('python3'), [ORACLE, modules])
    this.#child.stderr.pipe(process.stderr)
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async encode(step: Step): Promise<Encoded> {
    // Its encoder knows no field that just stays out of the table.
    const fields = step.lines.map(([name, value]) => [name, value, name === 'authorization'])
    const { tableSizes, huffman } = step
    return (await this.#ask({ type: 'encode', fields, tableSizes, huffman })) as Encoded
  }

  async decode(block: Buffer, tableSizes: readonly number[]): Promise<Decoded> {
    return (await this.#ask({
      type: 'decode',
      block: block.toString('hex'),
      tableSizes,
    })) as Decoded
  }

  async #ask(question: unknown): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error('The oracle has ended')
    return JSON.parse(value)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.kill()
    await closed
  }
}

const latin1 = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
const names = fc.oneof(
  fc.constantFrom(
    ...[':method', ':path', ':status', ':authority', 'accept', 'accept-encoding', 'etag', 'server'],
    ...['authorization', 'cookie', 'content-length', 'x-a', 'x-b', 'x-c', 'n'.repeat(300)],
  ),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
)
const values = fc.oneof(
  fc.constantFrom('', 'GET', '/', '200', 'gzip, deflate', '*/*', 'v'.repeat(40), 'w'.repeat(2000)),
  fc.nat(20).map(String),
  fc.stringMatching(/^[ -~]{0,80}$/),
  latin1,
)
// Python's encoder announces every change, and there may be two before a block (RFC 7541 §4.2). It
// forgets to announce one that is asked for twice.
const tableSizes = fc.oneof(
  { weight: 6, arbitrary: fc.constant([]) },
  {
    weight: 1,
    arbitrary: fc.uniqueArray(fc.constantFrom(0, 50, 100, 300, 1000, 4096, MAX_TABLE_BYTES), {
      maxLength: 2,
    }),
  },
)
const steps = fc.array(
  fc.record({
    tableSizes,
    lines: fc.array(fc.tuple(names, values), { maxLength: 15 }),
    huffman: fc.boolean(),
  }),
  { minLength: STEPS, maxLength: STEPS, size: 'max' },
)

/** One long life of a connection; another with every run, which the seed brings back. */
function sampleSteps(): { sequence: readonly Step[]; seed: number } {
  const seed = Date.now()
  return { sequence: fc.sample(steps, { numRuns: 1, seed })[0] ?? [], seed }
}

test('HpackDecoder reads what Python encodes', async () => {
  await using oracle = new Oracle()
  const { sequence, seed } = sampleSteps()
  const decoder = new HpackDecoder({ maxTableBytes: MAX_TABLE_BYTES })

  for (const [index, step] of sequence.entries()) {
    const { block, tableBytes } = await oracle.encode(step)
    const fields: HpackField[] = []
    decoder.decode(Buffer.from(block, 'hex'), fields, Infinity)

    expect(
      fields.map(({ name, value }) => [name, value]),
      `seed ${seed}, step ${index}`,
    ).toEqual(step.lines)
    expect(decoder.tableBytes, `seed ${seed}, step ${index}`).toBe(tableBytes)
  }
})

test('Python reads what HpackEncoder encodes', async () => {
  await using oracle = new Oracle()
  const { sequence, seed } = sampleSteps()
  const encoder = new HpackEncoder()

  for (const [index, step] of sequence.entries()) {
    for (const bytes of step.tableSizes) encoder.setMaxTableBytes(bytes)
    encoder.begin()
    for (const [name, value] of step.lines) encoder.add(name, value)
    const { fields, tableBytes } = await oracle.decode(encoder.end(), step.tableSizes)

    const where = `seed ${seed}, step ${index}`
    expect(
      fields.map(([name, value]) => [name, value]),
      where,
    ).toEqual(step.lines)
    expect(encoder.tableBytes, where).toBe(tableBytes)
    const secrets = fields.filter(([, , neverIndexed]) => neverIndexed)
    expect(
      secrets.map(([name]) => name),
      where,
    ).toEqual(step.lines.filter(isSecret).map(([name]) => name))
  }
})

/** An empty one is in the static table, and nothing to hide. */
function isSecret([name, value]: Line): boolean {
  if (value === '') return false
  return name === 'authorization' || (name === 'cookie' && value.length < 20)
}
