/** What `ferry fetch` does not tell, and to whom. */
import { describe, expect, test } from 'vitest'
import { FetchServer } from '../support/fetch-server.ts'
import { type FerryExit } from '../support/run-ferry.ts'
import { NOWHERE, runFetch } from '../support/run-fetch.ts'

describe.concurrent('ferry fetch prints no secret', () => {
  const SECRETS = ['pass-7f3a', 'token-91bc', 'field-e04d', 'query-55aa', 'sid-abc', 'form-1d2e']
  const files = { 'fields.txt': 'X-Plain: field-e04d\n' }
  const sent = ['-H', 'X-Api-Token: token-91bc', '-H', '@fields.txt', '-H', 'Cookie: a=sid-abc']

  test.each([
    { what: 'with -v and --timing', path: '/cookie', args: ['-v', '--timing'], exitCode: 0 },
    { what: 'of a refusal', path: '/missing', args: ['--fail', '--report', '-'], exitCode: 8 },
    { what: 'of a break', path: '/cut', args: ['-v', '-o', 'out'], exitCode: 9 },
    { what: 'of a redirection', path: '/moved', args: ['-v', '--report', '-'], exitCode: 0 },
  ])('$what', async ({ path, args, exitCode }) => {
    await using server = await FetchServer.start({
      '/cookie': (_, response) => response.setHeader('Set-Cookie', 'sid=sid-abc; Path=/').end('x'),
    })
    const url = new URL(server.url(`${path}?key=query-55aa`))
    Object.assign(url, { username: 'alice', password: 'pass-7f3a' })
    const form = path === '/moved' ? [] : ['--form', 'pin=form-1d2e']

    const exit = await runFetch([...args, ...sent, ...form, url.href], { files })

    expect(exit.exitCode).toBe(exitCode)
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('alice:pass-7f3a').toString('base64')}`,
      'x-api-token': 'token-91bc',
      'x-plain': 'field-e04d',
    })
    expectNoSecret(exit)
  })

  test.each([
    ['--json', '{"pin": form-1d2e}', NOWHERE],
    ['-u', 'alice:pass-7f3a\u0007', NOWHERE],
    ['-u', 'alice:pass-7f3a', NOWHERE],
    ['-H', 'X-Api-Token token-91bc', NOWHERE],
    ['-H', 'X-Api-Token: token-91bc\u0007', NOWHERE],
    ['--proxy', 'http://alice:pass-7f3a@:1:2', NOWHERE],
    ['--proxy', 'http://alice:pass-7f3a@127.0.0.1:1', 'http://h.test/?key=query-55aa'],
    ['https://alice:pass-7f3a@h:99999/'],
    ['ftp://alice:pass-7f3a@h/'],
    ['--api-key=token-91bc', NOWHERE],
    ['-Ztoken-91bc', NOWHERE],
    [NOWHERE, 'http://alice:pass-7f3a@h/?key=query-55aa'],
  ])('of a mistake: %j %j %j', async (...args) => {
    const exit = await runFetch([...args])

    expect(exit.exitCode).toBeGreaterThan(1)
    expect(exit.stderr).toMatch(/^ferry: Cannot /)
    expectNoSecret(exit)
  })

  function expectNoSecret({ stderr }: FerryExit): void {
    for (const secret of SECRETS) expect(stderr).not.toContain(secret)
    expect(stderr).not.toContain(Buffer.from('alice:pass-7f3a').toString('base64'))
  }
})

test('ferry fetch gives secrets to nobody but the origin they are for', async () => {
  await using elsewhere = await FetchServer.start()
  await using server = await FetchServer.start({
    '/away': (_, response) => response.writeHead(302, { Location: elsewhere.url('/') }).end(),
  })
  const files = { 'fields.txt': 'X-Plain: field-e04d\n' }

  await runFetch(['-u', 'alice:pw', '-H', '@fields.txt', '-H', 'X-Open: 1', server.url('/away')], {
    files,
  })

  const headers = elsewhere.requests[0]?.headers
  expect(headers).toMatchObject({ 'x-open': '1' })
  expect(headers).not.toHaveProperty('authorization')
  expect(headers).not.toHaveProperty('x-plain')
})
