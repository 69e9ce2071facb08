/** `ferry put` where it is not let in, or finds something else than it needs. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { listOutbox, PutSite, runPut } from '../support/put-site.ts'
import { type FerryExit, runFerry } from '../support/run-ferry.ts'
import { TempDir } from '../support/temp-dir.ts'

/** What a server says. */
interface Saying {
  readonly status: number
  readonly type?: string
  readonly text?: string
}

/** Sends `a.txt` to a server of tus that answers so where uploads are created; gives what is kept, too. */
async function putTo(
  path: string,
  says: Saying,
): Promise<FerryExit & { readonly kept: number; readonly authorization: string | undefined }> {
  await using dir = await TempDir.create()
  await dir.write('a.txt', 'content')
  let authorization: string | undefined
  const server = createServer((request, response) => {
    authorization = request.headers.authorization
    request.resume()
    request.on('end', () => {
      if (request.method === 'OPTIONS' && path === '/files') {
        const fields = { 'Tus-Resumable': '1.0.0', 'Tus-Version': '1.0.0' }
        response.writeHead(204, { ...fields, 'Tus-Extension': 'creation' }).end()
      } else {
        const { status, type = 'text/plain', text = '' } = says
        response.writeHead(status, { 'Content-Type': type }).end(text)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    const url = `http://alice:pass-word@127.0.0.1:${port}${path}`
    const run = await runPut(dir, ['--retries', '0', 'a.txt', url])
    const items = await listOutbox(dir)
    expect(JSON.stringify([run, items])).not.toContain('pass-word')
    return { ...run, kept: items.length, authorization }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe.concurrent('ferry put', () => {
  test.each([
    {
      status: 401,
      text: '{"error":"Who are you?"}',
      says: '401 Unauthorized, and says Who are you?. Check the key, or say who asks, with',
    },
    { status: 403, says: '403 Forbidden. Check the key, and whether it may upload there.' },
    {
      status: 404,
      type: 'text/html',
      text: '<html><body>Not here</body></html>',
      says: '404 Not Found. Check the URL: it has to be the one where the server takes uploads.',
    },
    {
      status: 409,
      text: 'It is there already.\n',
      says: '409 Conflict, and says It is there already. Send it under another name with --name',
    },
    { status: 413, says: '413 Payload Too Large. The server takes no file as large' },
  ])('tells of a refusal with $status, and leaves nothing behind', async ({ says, ...answer }) => {
    const { exitCode, notes, kept, authorization } = await putTo('/files', answer)

    expect(exitCode).toBe(8)
    expect(notes).toContain(`the server answered ${says}`)
    expect(kept).toBe(0)
    expect(authorization).toBe(`Basic ${btoa('alice:pass-word')}`)
  })

  test('keeps in the outbox what a server has no room for just now', async () => {
    const { exitCode, notes, kept } = await putTo('/files', { status: 507 })

    expect(exitCode).toBe(8)
    expect(notes).toContain(
      'The server has no room; see to that. Run the same command again, or ferry outbox send, to go on.',
    )
    expect(kept).toBe(1)
  })

  test.each(['/', '/upload'])('takes no page at %s for a server of uploads', async (path) => {
    const page = { status: 200, type: 'text/html; charset=utf-8', text: '<html>Welcome</html>' }

    const { exitCode, stdout, notes, kept } = await putTo(path, page)

    expect(exitCode).toBe(path === '/' ? 2 : 7)
    expect(stdout).toBe('')
    expect(notes).toMatch(
      /^(The server cannot tell .*\n)?ferry: .*Cannot .*Check the URL[;:] .*\n$/,
    )
    expect(kept).toBe(0)
  })

  test('shows a key to the server that asks for it, from wherever it has it', async () => {
    await using site = await PutSite.open(['--key-file', '../keys'])
    const key = (await site.received.read('../keys')).toString().trim().split(' ').at(-1) as string
    await site.dir.write('key', `${key}\n`)
    await site.dir.write('fields', `Authorization: Bearer ${key}\n`)
    await site.dir.write('a.txt', 'content')
    const url = site.urlFor('tus')

    const runs = {
      none: await site.run(['a.txt', url]),
      wrong: await site.run(['a.txt', url], { env: { INDEXCP_API_KEY: 'wrong' } }),
      variable: await site.run(['a.txt', url], { env: { INDEXCP_API_KEY: key } }),
      file: await site.run(['--key-file', 'key', 'a.txt', url]),
      field: await site.run(['-H', '@fields', 'a.txt', url]),
      option: await site.run(['--key', key, 'a.txt', url]),
    }

    const codes = Object.entries(runs).map(([name, { exitCode }]) => [name, exitCode])
    expect(Object.fromEntries(codes)).toEqual({
      ...{ none: 8, wrong: 8, variable: 0, file: 0, field: 0, option: 0 },
    })
    expect(runs.option.notes).toMatch(/^Warning: other users of this machine can see what follows/)
    expect(runs.file.notes).toBe('')
    expect(JSON.stringify(runs)).not.toContain(key)
  })

  test('needs an outbox that it can write, or --no-buffer', async () => {
    await using site = await PutSite.open()
    await site.dir.write('a.txt', 'content')
    const url = site.urlFor('tus')
    const env = { HOME: site.dir.join('a.txt') }

    const homeless = await site.run(['a.txt', url], { env })
    const noDatabase = await site.run(['--outbox', 'a.txt', 'a.txt', url])
    const kept = (await site.dir.read('a.txt')).toString()
    const direct = await site.run(['--no-buffer', 'a.txt', url], { env })

    expect(homeless.exitCode).toBe(15)
    expect(homeless.notes).toMatch(
      /^ferry: Cannot open the outbox .*: a part of the path is no folder\. Choose another place for the outbox with --outbox FILE, or keep nothing with --no-buffer\.\n$/,
    )
    expect(noDatabase.exitCode).toBe(15)
    expect(noDatabase.notes).toContain('it is no database')
    expect(kept).toBe('content')
    expect(direct.exitCode).toBe(0)
  })

  test.each([
    { args: ['a.txt'], says: "Cannot run: missing required argument 'url'" },
    {
      args: ['http://127.0.0.1:1/', 'a.txt'],
      says: 'Cannot send: the last word has to be the URL',
    },
    { args: ['-', 'http://127.0.0.1:1/'], says: 'Cannot send standard input without a --name' },
    { args: ['--name', 'x', 'a', 'b', 'http://127.0.0.1:1/'], says: 'Cannot give one --name to' },
    { args: ['--copy', '--no-buffer', 'a', 'http://127.0.0.1:1/'], says: 'cannot be used with' },
    { args: ['--chunk-size', 'big', 'a', 'http://127.0.0.1:1/'], says: 'for --chunk-size' },
    { args: ['--key-file', 'gone', 'a', 'http://127.0.0.1:1/'], says: 'Cannot read gone for' },
    { args: ['--cert-key', 'k', 'a', 'http://127.0.0.1:1/'], says: 'Cannot use --cert-key alone' },
  ])('refuses $args in one line', async ({ args, says }) => {
    await using dir = await TempDir.create()

    const { exitCode, stdout, notes } = await runPut(dir, args)

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(notes).toContain(says)
    expect(notes).toMatch(/^ferry: .* See ferry put --help\.\n$/)
    expect(await dir.names()).toEqual([])
  })

  test('takes no folder on standard input for an empty file', async () => {
    await using dir = await TempDir.create()
    const args = ['--name', 'x', '-', 'http://127.0.0.1:1/']

    const { exitCode, notes } = await runPut(dir, args, { shell: '"$@" < .' })

    expect(exitCode).toBe(2)
    expect(notes).toContain('Cannot send standard input: it is neither a file nor a pipe')
    expect(await listOutbox(dir)).toEqual([])
  })

  test('says once when nobody is there, and keeps the files for later', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'content')

    await dir.write('b.txt', 'content')
    await dir.write('c.txt', 'content')
    const files = ['a.txt', 'b.txt', 'c.txt']
    const args = ['--retries', '0', '--files', '1', ...files, 'http://127.0.0.1:1/files']
    const run = await runPut(dir, args)

    expect(run.exitCode).toBe(4)
    expect(run.notes).toMatch(
      /^ferry: a\.txt: Cannot .* connection refused\. Check that the server runs and the port is right\. Run the same command again, or ferry outbox send, to go on\.\nNot tried, for the same reason: 2 files\n$/,
    )
    expect(await listOutbox(dir)).toMatchObject(
      files.map((name) => ({ name, content: { mode: 'reference', path: dir.join(name) } })),
    )
  })

  test('--help teaches by examples', async () => {
    await using dir = await TempDir.create()

    const { exitCode, stdout } = await runFerry(['put', '--help'], { cwd: dir.path })

    expect(exitCode).toBe(0)
    expect(stdout).toContain('Usage: ferry put [options] <file...> <url>\n')
    expect(stdout.match(/^ {2}\$ .*ferry put /gm)?.length).toBeGreaterThan(5)
    // Nothing of what sends ends so.
    expect(stdout).not.toMatch(/\b12 /)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110)
  })
})
