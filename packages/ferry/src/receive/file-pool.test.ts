import { expect, test } from 'vitest'
import { FilePool } from './file-pool.ts'

/** A pool of files that note when they are opened and closed. */
function createPool(): { pool: FilePool<{ close(): Promise<void> }>; log: string[] } {
  const log: string[] = []
  const pool = new FilePool((id) => {
    log.push(`open ${id}`)
    if (id === 'bad') return Promise.reject(new Error('no such file'))
    return Promise.resolve({
      close() {
        log.push(`close ${id}`)
        return Promise.resolve()
      },
    })
  })
  return { pool, log }
}

const nothing = (): Promise<void> => Promise.resolve()

test('FilePool lends one open file to all, one after another or at once', async () => {
  const { pool, log } = createPool()

  await Promise.all([pool.use('a', nothing), pool.use('a', nothing)])
  await pool.use('a', nothing)
  expect(log).toEqual(['open a'])
  await pool.close()

  expect(log).toEqual(['open a', 'close a'])
})

test('FilePool closes a retired file after its last user, and opens it anew for the next', async () => {
  const { pool, log } = createPool()
  const work = Promise.withResolvers<void>()
  const using = pool.use('a', () => work.promise)
  await Promise.resolve()

  pool.retire('a')
  await pool.use('a', nothing)
  expect(log).toEqual(['open a', 'open a'])
  work.resolve()
  await using
  await pool.close()

  expect(log).toEqual(['open a', 'open a', 'close a', 'close a'])
})

test('FilePool keeps the files that were used last, and not too many', async () => {
  const { pool, log } = createPool()
  for (let id = 0; id < 70; id++) await pool.use(`f${id}`, nothing)
  await new Promise(setImmediate)

  expect(log.filter((line) => line.startsWith('close'))).toEqual(
    [0, 1, 2, 3, 4, 5].map((id) => `close f${id}`),
  )
  await pool.close()
  expect(log.length).toBe(140)
})

test('FilePool tries a file again that could not be opened', async () => {
  const { pool, log } = createPool()

  await expect(pool.use('bad', nothing)).rejects.toThrow('no such file')
  await expect(pool.use('bad', nothing)).rejects.toThrow('no such file')
  await pool.close()

  expect(log).toEqual(['open bad', 'open bad'])
})

test('FilePool.close() waits for those who use a file, and lends no other', async () => {
  const { pool, log } = createPool()
  const work = Promise.withResolvers<void>()
  const using = pool.use('a', () => work.promise)
  await new Promise(setImmediate)
  let isClosed = false
  const closing = pool.close().then(() => (isClosed = true))

  await expect(pool.use('b', nothing)).rejects.toThrow('they are closed')
  await new Promise(setImmediate)
  expect([isClosed, log]).toEqual([false, ['open a']])
  work.resolve()
  await using
  await closing

  expect(log).toEqual(['open a', 'close a'])
})

test('FilePool lends what it was given without opening it, and closes it as any other', async () => {
  const { pool, log } = createPool()
  const given = { close: () => Promise.resolve(void log.push('close given')) }

  pool.adopt('a', given)
  await pool.use('a', (file) => Promise.resolve(expect(file).toBe(given)))
  pool.retire('a')
  await new Promise(setImmediate)
  expect(log).toEqual(['close given'])

  // Nobody may need the others at all.
  for (let index = 0; index < 100; index++) pool.adopt(`${index}`, given)
  await new Promise(setImmediate)
  expect(log.length).toBe(1 + 36)
  await pool.close()
  expect(log.length).toBe(1 + 100)
  pool.adopt('late', given)
  await new Promise(setImmediate)

  expect(log.length).toBe(1 + 101)
})
