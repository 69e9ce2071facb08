/** Passwords and tokens come out of nothing that is printed or kept. */
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { FerryProcess, type FerryExit, runFerry } from '../support/run-ferry.ts'
import { TempDir } from '../support/temp-dir.ts'

const CONTENT = Buffer.alloc(100_000, 'x')
/** In the URL. */
const PASSWORD = 'pass-7f3a'
/** In a field, directly and by way of a file. */
const TOKEN = 'token-91bc'
const OTHER_TOKEN = 'token-e04d'
/** In the query: `--json` names the whole URL, but no sentence and no file does. */
const QUERY = 'query-55aa'
const SECRETS = [PASSWORD, TOKEN, OTHER_TOKEN]
const NOWHERE = 'http://127.0.0.1:1/f'
/** How RFC 7617 sends the password. */
const BASIC = Buffer.from(`user:${PASSWORD}`).toString('base64')

function secretArgs(server: FaultServer, dir: TempDir): string[] {
  const url = new URL(server.url)
  url.username = 'user'
  url.password = PASSWORD
  url.search = `?key=${QUERY}`
  return ['-H', `X-Token: ${TOKEN}`, '-H', `@${dir.join('fields.txt')}`, '-o', 'out.bin', url.href]
}

function expectNoSecrets({ stdout, stderr }: FerryExit): void {
  for (const secret of [...SECRETS, BASIC]) {
    expect(stdout).not.toContain(secret)
    expect(stderr).not.toContain(secret)
  }
  expect(stderr).not.toContain(QUERY)
}

test.each([
  { what: 'a refusal', status: 401, args: [] },
  { what: 'a refusal as JSON', status: 403, args: ['--json'] },
  { what: 'retries', status: 503, args: ['--retries', '1'] },
  { what: 'retries as JSON', status: 503, args: ['--retries', '1', '--json'] },
  { what: 'success', status: undefined, args: [] },
  { what: 'success as JSON', status: undefined, args: ['--json'] },
])('ferry get prints no secret at $what', async ({ status, args }) => {
  await using dir = await TempDir.create()
  await dir.write('fields.txt', `X-Other: ${OTHER_TOKEN}\n`)
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: () => (status === undefined ? undefined : { type: 'status', status }),
  })

  const run = await runFerry(['get', ...args, ...secretArgs(server, dir)], { cwd: dir.path })

  expect(server.requests[0]?.headers).toMatchObject({
    authorization: `Basic ${BASIC}`,
    'x-token': TOKEN,
    'x-other': OTHER_TOKEN,
  })
  expect(run.stdout + run.stderr).not.toBe('')
  expectNoSecrets(run)
})

test.each([
  { what: 'a field without colon', args: ['-H', `Authorization ${TOKEN}`, 'http://127.0.0.1:1/'] },
  { what: 'a field that cannot be sent', args: ['-H', `A: ${TOKEN}\u0007`, 'http://127.0.0.1:1/'] },
  { what: 'a URL that is none', args: [`http://user:${PASSWORD}@:1:2/`] },
  { what: 'a password with a slash', args: [`http://user:a/${PASSWORD}@host:1:2/`] },
  { what: 'a URL with a blank', args: [`https://exa mple.org/x?token=${TOKEN}`] },
  { what: 'a URL with a blank and a query', args: [`https://exa mple.org/x?key=${QUERY}`] },
  { what: 'a URL with one slash', args: [`http:/user:${PASSWORD}@h:99999/`] },
  { what: 'two URLs of one name', args: [`${NOWHERE}?a=${QUERY}`, `${NOWHERE}?b=${TOKEN}`] },
  { what: 'another scheme', args: [`ftp://user:${PASSWORD}@host/`] },
])('ferry get prints no secret of $what', async ({ args }) => {
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--retries', '0', ...args], { cwd: dir.path })

  expect(run.exitCode).not.toBe(0)
  expect(run.stderr).toMatch(/^ferry: /)
  expectNoSecrets(run)
})

test('ferry get keeps no secret in its files, the query among them', async () => {
  await using dir = await TempDir.create()
  await dir.write('fields.txt', `X-Other: ${OTHER_TOKEN}\n`)
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 30_000 })
  const args = ['get', '--json', ...secretArgs(server, dir)]
  await using run = new FerryProcess(args, { cwd: dir.path })
  await dir.whenNoted('out.bin.part.journal')
  run.kill('SIGINT')

  expectNoSecrets(await run.exit)
  const journal = (await dir.read('out.bin.part.journal')).toString()
  expect(journal).toContain('"url":"http://127.0.0.1')
  for (const secret of [...SECRETS, BASIC, QUERY]) expect(journal).not.toContain(secret)
})

test('ferry get gives credentials to nobody but the origin they are for', async () => {
  await using dir = await TempDir.create()
  await dir.write('fields.txt', `Cookie: ${OTHER_TOKEN}\n`)
  await using elsewhere = await FaultServer.start({ content: CONTENT })
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: () => ({ type: 'status', status: 302, headers: { Location: elsewhere.url } }),
  })

  const run = await runFerry(['get', ...secretArgs(server, dir)], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  const headers = elsewhere.requests[0]?.headers
  expect(headers).not.toHaveProperty('authorization')
  expect(headers).not.toHaveProperty('cookie')
})
