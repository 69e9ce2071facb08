/** Clearing up while another process does so, too, and adds: numbers of rows are used again. */
import { expect, test } from 'vitest'
import { TempDir } from '../../../../test/support/temp-dir.ts'
import { OutboxConnection } from './outbox-connection.ts'
import { OutboxContent } from './outbox-content.ts'
import { type Holding, OutboxDatabase } from './outbox-database.ts'
import { OutboxTrimmer } from './outbox-trimmer.ts'

const TIME = { wallMs: 1_700_000_000_000, uptimeMs: 1000, boot: '' }
const PART_BYTES = 4

test('OutboxTrimmer never touches an item that has come into the place of one that is gone', async () => {
  for (const call of ['remove', 'deleteParts'] as const) {
    await using folder = await TempDir.create()
    const path = folder.join('outbox.db')
    const own = new OutboxConnection(path, 1000)
    const other = new OutboxDatabase(new OutboxConnection(path, 1000))
    add(other, 'first')
    other.change([{ type: 'remove', id: 'first', time: TIME }])
    const content = new OutboxContent(folder.join('content'))
    const trimmer = new OutboxTrimmer(own, content)
    const between = (): void => {
      while (other.trim()) continue
      if (other.get('second', TIME) === undefined) add(other, 'second')
    }
    // What takes long, so that others get their turn.
    if (call === 'remove') {
      content.remove = (_, { end }) => {
        between()
        return end
      }
    } else {
      const deleteParts = trimmer.deleteParts.bind(trimmer)
      trimmer.deleteParts = (id, before) => {
        between()
        return deleteParts(id, before)
      }
    }

    while (trimmer.step()) continue

    const [item] = other.list(TIME)
    expect(item).toMatchObject({ id: 'second', size: 8, content: { keptFrom: 0 } })
    other.change([{ type: 'lease', id: 'second', holding: holdingOf('sender') }])
    expect(other.readPart('second', 'sender', 1).bytes.length).toBe(PART_BYTES)
    other.close()
    own.close()
  }
})

function add(database: OutboxDatabase, id: string): void {
  const holding = holdingOf(`adder of ${id}`)
  const begin = { name: id, type: undefined, metadata: {}, content: PART_BYTES }
  database.begin(holding)
  database.stage(holding, [
    { id, begin, part: new Uint8Array(PART_BYTES) },
    { id, part: new Uint8Array(PART_BYTES), end: { sha256: '' } },
  ])
  database.keep(holding)
}

function holdingOf(token: string): Holding {
  return { token, time: TIME, durationMs: 60_000 }
}
