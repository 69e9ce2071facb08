import type { UploadEvent, UploadStatus } from 'ferry/receive'
import { expect, test } from 'vitest'
import { UploadBook } from './receive-book.ts'

const MIB = 1_048_576

function upload(bytes: number, more: Partial<UploadStatus> = {}): UploadStatus {
  return {
    id: '1',
    state: 'unfinished',
    offset: bytes,
    spans: bytes === 0 ? [] : [{ start: 0, end: bytes }],
    length: 100 * MIB,
    name: 'a.bin',
    metadata: {},
    notes: {},
    finish: 'when-full',
    owner: undefined,
    door: 'tus',
    createdAt: 0,
    expiresAt: 1,
    isReceiving: true,
    ...more,
  }
}

function event(type: UploadEvent['type'], status: UploadStatus): UploadEvent {
  return { id: '1', type, upload: status }
}

test('UploadBook tells the speed of the last seconds, and that nothing comes', () => {
  const book = new UploadBook()
  const speeds: number[] = []

  book.note(event('created', upload(0)), 0)
  speeds.push(book.running(0)[0]?.bytesPerSecond ?? Number.NaN)
  for (let second = 1; second <= 20; second++) {
    book.note(event('progress', upload(second * MIB)), second * 1000)
  }
  speeds.push(...[20_200, 22_000, 29_000].map((at) => book.running(at)[0]?.bytesPerSecond ?? -1))

  expect(speeds.map((speed) => Number((speed / MIB).toFixed(2)))).toEqual([0, 1, 0.6, 0])
})

test('UploadBook counts many small pieces as it counts large ones', () => {
  const book = new UploadBook()

  book.note(event('created', upload(0)), 0)
  for (let at = 10; at <= 4000; at += 10) book.note(event('progress', upload(at * 1000)), at)

  expect(book.running(4000)[0]?.bytesPerSecond).toBeCloseTo(1_000_000)
})

test('UploadBook tells what has arrived, and how long it took from creation to the last bytes', () => {
  const book = new UploadBook()
  const whole = upload(100 * MIB, { state: 'completed', spans: [] })

  book.note(event('created', upload(0)), 1000)
  book.note(event('progress', upload(100 * MIB)), 5000)
  const arrival = book.note(event('completed', whole), 600_000)
  const unseen = book.note(event('completed', { ...whole, id: '2' }), 600_000)

  expect(arrival).toEqual({ bytes: 100 * MIB, elapsedMs: 4000 })
  expect(unseen).toEqual({ bytes: 100 * MIB, elapsedMs: undefined })
  expect(book.arrived).toEqual({ count: 2, bytes: 200 * MIB })
  expect(book.running(600_000)).toEqual([])
})

test('UploadBook gives those to which nothing came for a while once, and takes them up again', () => {
  const book = new UploadBook()

  book.note(event('created', upload(0)), 0)
  book.note(event('progress', upload(MIB)), 1000)
  const early = book.takePaused(10_900)
  const paused = book.takePaused(11_100)
  const again = book.takePaused(60_000)
  book.note(event('progress', upload(2 * MIB)), 70_000)

  expect([early.length, paused.map(({ offset }) => offset), again.length]).toEqual([0, [MIB], 0])
  expect(book.running(70_000).map(({ receivedBytes }) => receivedBytes)).toEqual([2 * MIB])
})

test('UploadBook keeps quiet about chunks before their time and about parts that are there', () => {
  const book = new UploadBook()
  const ahead = upload(0, { id: 'x', name: 'x', door: 'indexedcp' })
  const part = upload(MIB, { id: 'y', name: 'y', finish: 'as-part', length: 2 * MIB })

  book.note(event('created', ahead), 0)
  book.note(event('progress', part), 0)
  const before = book.running(0).length
  book.note(event('progress', { ...part, offset: 2 * MIB }), 0)

  expect([before, book.running(0).length]).toEqual([1, 0])
})

test.each(['terminated', 'expired'] as const)('UploadBook forgets what is %s', (type) => {
  const book = new UploadBook()

  book.note(event('created', upload(0)), 0)

  expect(book.note(event(type, upload(0)), 1)).toBeUndefined()
  expect(book.running(1)).toEqual([])
  expect(book.arrived.count).toBe(0)
})
