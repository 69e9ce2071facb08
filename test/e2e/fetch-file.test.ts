/** What `ferry fetch -o` leaves of the file, and what it writes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer, JSON_TEXT } from '../support/fetch-server.ts'
import { FerryProcess, runFerry } from '../support/run-ferry.ts'
import { runFetch } from '../support/run-fetch.ts'
import { TempDir } from '../support/temp-dir.ts'

describe('ferry fetch -o', () => {
  test('writes the file, and nothing beside it', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    await dir.write('out.json', 'before')

    const exit = await runFerry(['fetch', '-o', 'out.json', server.url('/json')], { cwd: dir.path })

    expect(exit).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
    expect((await dir.read('out.json')).toString()).toBe(JSON_TEXT)
    expect(await dir.names()).toEqual(['out.json'])
  })

  test.each([
    { path: '/missing', exitCode: 8, stdout: '{"error":"no such item"}' },
    { path: '/unmodified', exitCode: 0, stdout: '' },
    { path: '/cut', exitCode: 9, stdout: '' },
  ])('leaves the file as it was at $path', async ({ path, ...expected }) => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    await dir.write('out', 'before')

    const exit = await runFerry(['fetch', '-o', 'out', server.url(path)], { cwd: dir.path })

    expect(exit).toMatchObject(expected)
    expect((await dir.read('out')).toString()).toBe('before')
    expect(await dir.names()).toEqual(['out'])
  })

  test('leaves nothing at Ctrl-C', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    const args = ['fetch', '-o', 'out', server.url('/slow')]
    await using ferry = new FerryProcess(args, { cwd: dir.path })
    while ((await dir.names()).length === 0) await sleep(20)
    await sleep(200)
    ferry.kill('SIGINT')

    const exit = await ferry.exit

    expectRefusal(exit, { exitCode: 130, line: 'Nothing of it is in out.' })
    expect(await dir.names()).toEqual([])
  })

  test('ends well when the reader of a pipe has gone', async () => {
    await using server = await FetchServer.start()

    const exit = await runFetch(['-o', 'pipe', server.url('/endless')], {
      shell: 'mkfifo pipe; head -c 5 pipe & "$@"; echo " code $?"; wait',
    })

    expect(exit).toMatchObject({ stderr: '', names: ['pipe'] })
    expect(exit.stdout).toMatch(/^xxxxx/)
    expect(exit.stdout).toMatch(/ code 0\n/)
  })

  test('leaves nothing when the terminal goes away', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    const args = ['fetch', '-o', 'out', server.url('/slow')]
    await using ferry = new FerryProcess(args, { cwd: dir.path })
    while (server.sentBytes === 0) await sleep(20)
    ferry.kill('SIGHUP')

    expect(await ferry.exit).toMatchObject({ exitCode: 129 })
    expect(await dir.names()).toEqual([])
  })

  test('writes to what is no regular file as it is', async () => {
    await using server = await FetchServer.start()

    const exit = await runFetch(['-o', 'pipe', server.url('/json')], {
      shell: 'mkfifo pipe; cat pipe & "$@"; wait',
    })

    expect(exit).toMatchObject({ exitCode: 0, stdout: JSON_TEXT, names: ['pipe'] })
  })
})
