import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Upload } from 'tus-js-client'
import { expect, test } from 'vitest'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'
import { curl, type CurlExit, parseHeads } from '../support/upload-curl.ts'
import { UploadSite } from '../support/upload-site.ts'

const CONTENT = randomBytes(2_000_000)
const HALF = 1_000_000
const VERSION = 'Upload-Draft-Interop-Version: 8'
const DISPOSITION = 'Content-Disposition: attachment; filename="file.bin"'
const PIECE = 'Content-Type: application/partial-upload'

/** PATCH with content of known length. */
function append(url: string, at: number, content: Buffer, complete: string): Promise<CurlExit> {
  const fields = [PIECE, `Upload-Offset: ${at}`, `Upload-Complete: ${complete}`, VERSION]
  return curl(url, { args: ['-X', 'PATCH', '--data-binary', '@-'], fields, content })
}

test('curl uploads a file in one request, and is told where to go on', async () => {
  await using site = await UploadSite.open()
  await using dir = await TempDir.create()
  const path = await dir.write('file.bin', CONTENT)

  const { exitCode, heads } = await curl(`${site.endpoint}/`, {
    args: ['-T', path],
    fields: ['Upload-Complete: ?1', 'Upload-Draft-Interop-Version: 9', 'Expect:'],
  })

  expect(exitCode).toBe(0)
  const final = heads.at(-1)
  expect(heads[0]?.status).toBe(104)
  expect(heads[0]?.fields.get('location')).toBe(final?.fields.get('location'))
  expect(final?.status).toBe(201)
  expect(final?.fields.get('upload-complete')).toBe('?1')
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('curl creates an upload, brings it in pieces, asks, and cancels another', async () => {
  await using site = await UploadSite.open()
  const create = (): Promise<CurlExit> =>
    curl(site.endpoint, { args: ['-X', 'POST'], fields: ['Upload-Complete: ?0', DISPOSITION] })
  const { heads } = await create()
  const location = heads[0]?.fields.get('location') as string
  const url = new URL(location, site.endpoint).href

  const first = await append(url, 0, CONTENT.subarray(0, HALF), '?0')
  const wrong = await append(url, 0, CONTENT, '?1')
  const asked = await curl(url, { args: ['-I'] })
  const last = await append(url, HALF, CONTENT.subarray(HALF), '?1')
  const other = (await create()).heads[0]?.fields.get('location') as string
  const otherUrl = new URL(other, site.endpoint).href
  const cancelled = await curl(otherUrl, { args: ['-X', 'DELETE'] })
  const gone = await curl(otherUrl, { args: ['-I'] })

  expect(first.heads.at(-1)?.status).toBe(204)
  expect(wrong.heads.at(-1)?.status).toBe(409)
  expect(wrong.heads.at(-1)?.fields.get('upload-offset')).toBe(String(HALF))
  expect(asked.heads[0]?.fields.get('upload-offset')).toBe(String(HALF))
  expect(last.heads.at(-1)?.status).toBe(201)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect([cancelled.heads[0]?.status, gone.heads[0]?.status]).toEqual([204, 404])
})

test('curl goes on after a connection that broke in the middle', async () => {
  await using site = await UploadSite.open()
  const broken = site.breakOnce()
  const child = spawn(requireTool('curl'), [
    ...['-q', '--noproxy', '*', '-sS', '-D', '-', '-o', '/dev/null', '-X', 'POST'],
    ...['-T', '-', '-H', 'Upload-Complete: ?1', '-H', VERSION, '-H', DISPOSITION, '-H', 'Expect:'],
    site.endpoint,
  ])
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (part: string) => (text += part))
  child.stdin.on('error', () => {})
  const closed = once(child, 'close')
  child.stdin.write(CONTENT.subarray(0, HALF))
  await broken
  // It looks at the connection only when it has something to send.
  child.stdin.end(CONTENT.subarray(HALF))
  const [exitCode] = (await closed) as [number]
  const interim = parseHeads(text)[0]
  const url = new URL(interim?.fields.get('location') as string, site.endpoint).href

  const asked = await curl(url, { args: ['-I'], fields: [VERSION] })
  const offset = Number(asked.heads[0]?.fields.get('upload-offset'))
  const last = await append(url, offset, CONTENT.subarray(offset), '?1')

  expect(exitCode).not.toBe(0)
  expect(interim?.status).toBe(104)
  expect(offset).toBeGreaterThan(0)
  expect(offset).toBeLessThanOrEqual(HALF)
  expect(last.heads.at(-1)?.status).toBe(201)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test.each([
  ['ietf-draft-03', 5],
  ['ietf-draft-05', 6],
])(
  'tus-js-client uploads by %s, interop version %i, where that is accepted',
  async (protocol, version) => {
    await using site = await UploadSite.open({ interopVersions: [version] })
    const options = {
      endpoint: site.endpoint,
      headers: { 'Content-Disposition': 'inline; filename="file.bin"' },
      chunkSize: HALF,
      retryDelays: [10, 10],
      // Its types do not have it yet.
      protocol,
    }
    const broken = site.breakOnce()

    await new Promise<void>((resolve, reject) => {
      const events = { onSuccess: () => resolve(), onError: reject }
      new Upload(CONTENT, { ...options, ...events }).start()
    })

    await broken
    expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  },
)
