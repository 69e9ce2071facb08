import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type Fault, ScriptedServer } from './scripted-server.ts'

const CONTENT = randomBytes(1000)

async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<[number, Buffer, Headers]> {
  const response = await fetch(url, { headers })
  return [response.status, Buffer.from(await response.arrayBuffer()), response.headers]
}

test('ScriptedServer serves the whole and ranges honestly by default', async () => {
  await using server = await ScriptedServer.start({ content: CONTENT })

  const whole = await get(server.url)
  const part = await get(server.url, { range: 'bytes=10-19', 'if-range': '"v1"' })
  const changed = await get(server.url, { range: 'bytes=10-19', 'if-range': '"v0"' })
  const beyond = await get(server.url, { range: 'bytes=1000-' })

  expect(whole.slice(0, 2)).toEqual([200, CONTENT])
  expect(part.slice(0, 2)).toEqual([206, CONTENT.subarray(10, 20)])
  expect(part[2].get('content-range')).toBe('bytes 10-19/1000')
  expect(changed[0]).toBe(200)
  expect(beyond[0]).toBe(416)
  expect(server.requests.map(({ status }) => status)).toEqual([200, 206, 200, 416])
})

test('ScriptedServer changes its content and validators while it runs', async () => {
  await using server = await ScriptedServer.start({ content: CONTENT })

  server.options.content = Buffer.from('new')
  server.options.etag = undefined
  const [, content, headers] = await get(server.url)

  expect(content.toString()).toBe('new')
  expect(headers.get('etag')).toBeNull()
})

const broken: readonly Fault[] = [
  { type: 'drop' },
  { type: 'reset', afterBytes: 10 },
  { type: 'end', afterBytes: 10 },
]

test.each(broken)('ScriptedServer breaks a connection: $type', async (fault) => {
  await using server = await ScriptedServer.start({ content: CONTENT, fault: () => fault })

  await expect(get(server.url)).rejects.toThrow(TypeError)
})

test('ScriptedServer sends a whole answer that is too short or too long', async () => {
  await using server = await ScriptedServer.start({
    content: CONTENT,
    fault: ({ index }) =>
      index === 0 ? { type: 'short', afterBytes: 7 } : { type: 'surplus', bytes: 7 },
  })

  expect((await get(server.url))[1]).toHaveLength(7)
  expect((await get(server.url))[1]).toHaveLength(1007)
})

test('ScriptedServer keeps to a speed', async () => {
  await using server = await ScriptedServer.start({ content: CONTENT, bytesPerSecond: 5000 })
  const startedAt = performance.now()

  await get(server.url)

  expect(performance.now() - startedAt).toBeGreaterThan(180)
  expect(performance.now() - startedAt).toBeLessThan(3000)
})

test('ScriptedServer refuses answers beyond its limit', async () => {
  await using server = await ScriptedServer.start({
    content: CONTENT,
    bytesPerSecond: 5000,
    maxConcurrent: 1,
  })

  const both = await Promise.all([get(server.url), get(server.url)])

  expect(both.map(([status]) => status).sort((a, b) => a - b)).toEqual([200, 503])
})
