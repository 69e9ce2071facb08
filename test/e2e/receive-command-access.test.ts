/** Who may upload by `ferry receive`: keys, their file, certificates, pages of other origins. */
import { stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { FerryProcess, runFerry } from '../support/run-ferry.ts'
import { createByTus, locationOf, ReceiveProcess, send } from '../support/run-receive.ts'
import { TempDir } from '../support/temp-dir.ts'

const UPLOAD = { name: 'a.bin', length: 5 }

function bearer(key: string): string[] {
  return [`Authorization: Bearer ${key}`]
}

describe.concurrent('ferry receive', () => {
  test('makes a key file that only its owner can read, and prints no key', async () => {
    await using dir = await TempDir.create()
    const args = ['receive', '--port', '0', '--dir', 'in', '--key-file', 'keys']
    await using first = new FerryProcess(args, { cwd: dir.path })
    await first.printed('Ctrl-C ends it')
    const [owner, key = ''] = (await dir.read('keys')).toString().trim().split(' ')
    const url = /^ {2}tus +(.*)\/files$/m.exec(first.stderr)?.[1] as string

    const statuses = []
    for (const fields of [[], bearer('wrong'), bearer(key)]) {
      const reply = await createByTus(url, { ...UPLOAD, fields })
      statuses.push([reply.status, reply.fields.get('www-authenticate')?.split(' ')[0]])
    }
    first.kill('SIGTERM')
    const { stdout, stderr } = await first.exit
    await using second = new FerryProcess(args, { cwd: dir.path })
    await second.printed(`Key file ${dir.join('keys')}`)

    expect([owner, key.length]).toEqual(['default', 64])
    expect((await stat(dir.join('keys'))).mode & 0o777).toBe(0o600)
    expect(statuses).toEqual([
      [401, 'Bearer'],
      [401, 'Bearer'],
      [201, undefined],
    ])
    expect(stderr).toContain(`Made the key file ${dir.join('keys')}, with a new key`)
    expect(stdout + stderr).not.toContain(key)
  })

  test('keys: adds, lists and removes them; each owner sees only his uploads', async () => {
    await using dir = await TempDir.create()
    const keys = (...args: readonly string[]): ReturnType<typeof runFerry> =>
      runFerry(['receive', 'keys', ...args, '--key-file', 'keys'], { cwd: dir.path })
    await dir.write('keys', '# ours\n')
    const alice = (await keys('add', 'alice')).stdout.trim()
    const rights = ['--scope', 'status', '--door', 'tus,ietf', '--folder', 'bob']
    const bob = (await keys('add', 'bob@example.org', ...rights)).stdout.trim()
    const carol = (await keys('add', 'carol')).stdout.trim()
    const listed = (await keys('list')).stdout
    const hash = /^(\w+) {2}carol$/m.exec(listed)?.[1] as string
    const removed = await keys('remove', hash)
    await using server = await ReceiveProcess.start(dir.path, ['--dir', 'in', '--key-file', 'keys'])

    const created = await createByTus(server.url, { ...UPLOAD, fields: bearer(alice) })
    const upload = locationOf(created, server.url)
    const statuses = []
    for (const key of [alice, bob, carol]) {
      statuses.push((await send(upload, ['-I'], { fields: bearer(key) })).status)
    }

    const text = (await dir.read('keys')).toString()
    const ofBob = 'scope=status door=tus,ietf folder=bob'
    expect(listed).toMatch(/^[0-9a-f]{12} {2}alice\n[0-9a-f]{12} {2}bob@example.org scope=status /)
    expect(text.replaceAll(/[0-9a-f]{64}/g, 'HASH')).toBe(
      `# ours\nalice sha256:HASH\nbob@example.org sha256:HASH ${ofBob}\n`,
    )
    for (const key of [alice, bob, carol]) expect(text).not.toContain(key)
    expect((await stat(dir.join('keys'))).mode & 0o777).toBe(0o600)
    expect(removed).toMatchObject({ exitCode: 0, stderr: '' })
    expect(created.status).toBe(201)
    expect([statuses[0] === 401, ...statuses.slice(1)]).toEqual([false, 404, 401])
    expect(await server.event('created')).toMatchObject({ owner: 'alice' })
  })

  test('sees keys that are added and removed while it runs', async () => {
    await using dir = await TempDir.create()
    const keys = (...args: readonly string[]): ReturnType<typeof runFerry> =>
      runFerry(['receive', 'keys', ...args, '--key-file', 'keys'], { cwd: dir.path })
    const statusWith = async (key: string): Promise<number> =>
      (await createByTus(server.url, { ...UPLOAD, fields: bearer(key) })).status
    const alice = (await keys('add', 'alice')).stdout.trim()
    await using server = await ReceiveProcess.start(dir.path, ['--dir', 'in', '--key-file', 'keys'])

    const before = await statusWith(alice)
    const bob = (await keys('add', 'bob')).stdout.trim()
    await keys('remove', 'alice')
    while ((await statusWith(alice)) === 201) await pause(200)

    expect([before, await statusWith(alice), await statusWith(bob)]).toEqual([201, 401, 201])
    const last = await keys('remove', 'bob')
    while ((await statusWith(bob)) === 201) await pause(200)
    expect(last.stdout).toContain('none is left: a running server lets nobody in')
    expect(await statusWith(bob)).toBe(401)
  })

  test.each([
    { args: ['add', 'a b'], exitCode: 2, reason: 'Cannot use this owner' },
    {
      args: ['add', 'a', '--scope', 'all'],
      exitCode: 2,
      reason: 'Cannot use the key file "keys": a line says what is not known',
    },
    { args: ['remove', 'nobody'], exitCode: 2, reason: 'Cannot remove a key from keys: none is' },
    { args: ['remove', 'ab'], exitCode: 2, reason: 'Cannot remove a key from keys: none is' },
    { args: ['list', '--key-file', 'none'], exitCode: 2, reason: 'there is no such file' },
    { args: ['add', 'a', '--key-file', 'no/keys'], exitCode: 15, reason: 'Cannot write no/keys' },
    { args: ['frob'], exitCode: 2, reason: 'See ferry receive keys --help' },
  ])('keys $args is refused', async ({ args, exitCode, reason }) => {
    await using dir = await TempDir.create()
    await dir.write('keys', `alice sha256:${'ab'.repeat(32)}\n`)
    const file = args.includes('--key-file') ? [] : ['--key-file', 'keys']

    const exit = await runFerry(['receive', 'keys', ...args, ...file], { cwd: dir.path })

    expect(exit).toMatchObject({ exitCode, stdout: '' })
    expect(exit.stderr).toContain(reason)
    expect(await dir.names()).toEqual(['keys'])
  })

  test('speaks https with the certificate that it is given', async () => {
    await using dir = await TempDir.create()
    const { key, cert } = createCertificate('IP:127.0.0.1')
    await dir.write('both.pem', cert + key)
    await dir.write('cert.pem', cert)
    await dir.write('key.pem', key)
    const pairs = [
      ['--tls-cert', 'both.pem'],
      ['--tls-cert', 'cert.pem', '--tls-key', 'key.pem'],
    ]

    for (const pair of pairs) {
      await using server = await ReceiveProcess.start(dir.path, pair)
      const reply = await send(`${server.url}/files`, ['-I', '--cacert', dir.join('cert.pem')])
      expect([server.url.split(':')[0], reply.status]).toEqual(['https', 404])
    }
    const { key: other } = createCertificate('IP:127.0.0.1')
    await dir.write('other.pem', other)
    const args = ['receive', '--tls-cert', 'cert.pem', '--tls-key', 'other.pem']
    const exit = await runFerry(args, { cwd: dir.path })
    expect(exit.exitCode).toBe(2)
    expect(exit.stderr).toContain('other.pem: the key belongs to another certificate')
  })

  test('lets the pages of --cors in, and no others', async () => {
    await using dir = await TempDir.create()
    const origins = ['--cors', 'https://a.example', '--cors', 'https://b.example']
    await using server = await ReceiveProcess.start(dir.path, origins)

    const allowed = []
    for (const origin of ['https://a.example', 'https://b.example', 'https://c.example']) {
      const fields = [`Origin: ${origin}`, 'Access-Control-Request-Method: PATCH']
      const reply = await send(`${server.url}/files`, ['-X', 'OPTIONS'], { fields })
      allowed.push(reply.fields.get('access-control-allow-origin'))
    }

    expect(allowed).toEqual(['https://a.example', 'https://b.example', null])
  })
})
