/** Runs the lines of docs/receive.md that readers copy: curl by each protocol, with a key, behind nginx. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  appendByTus,
  createByTus,
  locationOf,
  ReceiveProcess,
  send,
} from '../support/run-receive.ts'
import { ServerProcess } from '../support/server-process.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const PAGE = readFileSync(new URL('../../docs/receive.md', import.meta.url), 'utf8')
const CONTENT = randomBytes(3_500_000)

/** The blocks of one language in the section with this heading. */
function blocksOf(heading: string, language: string): string[] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const blocks = section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))
  return [...blocks].map(([, block = '']) => block)
}

/** Runs lines of the page against a server, in a folder with a photo and perhaps with keys. */
async function runLines(lines: string, server: ReceiveProcess, cwd: string): Promise<void> {
  const script = lines.replaceAll('http://127.0.0.1:3000', server.url)
  await promisify(execFile)('sh', ['-euc', script], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: cwd, no_proxy: '*' },
  })
}

describe.concurrent('docs/receive.md', () => {
  const protocols = blocksOf('Protocols', 'sh')

  test('has lines for each protocol', () => expect(protocols.length).toBe(4))

  test.each(protocols.map((lines, index) => ({ lines, index })))(
    'has lines that upload a file ($index)',
    async ({ lines }) => {
      await using dir = await TempDir.create()
      await dir.write('photo.jpg', CONTENT)
      await using server = await ReceiveProcess.start(dir.path, ['--dir', 'in'])

      await runLines(lines, server, dir.path)

      expect(await dir.digest('in/photo.jpg')).toBe(digestOf(CONTENT))
    },
  )

  test('has lines that keep a key off the command line', async () => {
    const [, lines = ''] = blocksOf('Keys', 'sh')
    await using dir = await TempDir.create()
    await dir.write('photo.jpg', CONTENT)
    const keys = ['--dir', 'in', '--key-file', 'keys']
    await using server = await ReceiveProcess.start(dir.path, keys)

    await runLines(lines, server, dir.path)

    expect(lines).toContain('auth.txt')
    expect(await dir.digest('in/photo.jpg')).toBe(digestOf(CONTENT))
  })

  test('has settings with which nginx lets every protocol through', async () => {
    const [location = ''] = blocksOf('Other origins, TLS, proxies', 'nginx')
    await using dir = await TempDir.create()
    await using server = await ReceiveProcess.start(dir.path)
    await using nginx = await startNginx(location.replace('http://127.0.0.1:3000', server.url))
    const url = `http://127.0.0.1:${nginx.ports[0]}/uploads`
    const draft = ['Upload-Complete: ?1', 'Upload-Draft-Interop-Version: 9']

    const args = ['-T', '-']
    const plain = await send(`${url}/files/plain.bin`, args, { fields: draft, content: CONTENT })
    const tus = locationOf(await createByTus(url, { name: 'tus.bin', length: 3_500_000 }), url)
    const appended = await appendByTus(tus, 0, CONTENT)
    const fields = ['X-Chunk-Index: 0', 'X-File-Name: chunk.bin']
    const chunk = await send(`${url}/upload`, ['--data-binary', '@-'], { fields, content: CONTENT })
    // The server hears of it while the client still sends: nginx does not keep it until it is whole.
    let isSent = false
    const slowly = [...args, '--limit-rate', '1M']
    const slow = send(`${url}/files/slow.bin`, slowly, { fields: draft, content: CONTENT })
    const sent = slow.then((reply) => {
      isSent = true
      return reply.status
    })
    await server.event('created', 'slow.bin')
    const wasSent = isSent

    expect([plain.status, appended.status, chunk.status]).toEqual([201, 204, 200])
    expect([wasSent, await sent]).toEqual([false, 201])
    for (const name of ['plain.bin', 'tus.bin', 'chunk.bin', 'slow.bin']) {
      expect(await dir.digest(name)).toBe(digestOf(CONTENT))
    }
  })
})

function startNginx(location: string): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 1,
    configure: async (folder, [port]) => {
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder.path}/${name};`,
      )
      const server = `server { listen 127.0.0.1:${port}; ${location} }`
      const text = `daemon off; pid ${folder.path}/pid; events {}
http { access_log off; ${paths.join(' ')}\n${server} }\n`
      const path = await folder.write('nginx.conf', text)
      return ['-c', path, '-p', folder.path, '-e', 'stderr']
    },
  })
}
