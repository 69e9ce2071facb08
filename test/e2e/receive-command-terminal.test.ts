/** What `ferry receive` shows on a terminal, by way of the pseudo terminal that `script` opens. */
import { describe, expect, test } from 'vitest'
import { FerryProcess } from '../support/run-ferry.ts'
import {
  appendByTus,
  createByTus,
  locationOf,
  ReceiveProcess,
  send,
} from '../support/run-receive.ts'
import { TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
// CSI and OSC with their 8-bit forms, line ends, and an override of the direction of writing.
const HOSTILE = 'a\u001b[2Jb\u009b31mc\u001b]0;title\u0007d\r\ne\u202ef.txt'
const OWN_SEQUENCES = /\u001b\[(?:\d+F|0J|\?7[hl]|[\d;]*m)/g

/** Runs it on a terminal of 90 columns; the shell tells the number of its process. */
async function runOnTerminal(cwd: string): Promise<{
  readonly run: FerryProcess
  readonly url: string
  readonly stop: () => void
}> {
  const inner = 'stty cols 90; $command & echo process $!; wait $!; echo code $?'
  const shell = `command="$*" script -qfec '${inner}' /dev/null`
  const run = new FerryProcess(['receive', '--port', '0'], { cwd, shell, env: { TERM: 'xterm' } })
  await run.shown(/Ctrl-C ends it/)
  const url = /^ {2}tus +(.*)\/files\r$/m.exec(run.stdout)?.[1] as string
  const pid = Number(/^process (\d+)\r$/m.exec(run.stdout)?.[1])
  return { run, url, stop: () => process.kill(pid, 'SIGINT') }
}

describe.concurrent('ferry receive on a terminal', () => {
  test('draws what is on its way, and erases it', async () => {
    await using dir = await TempDir.create()
    const { run, url, stop } = await runOnTerminal(dir.path)
    await using ferry = run
    const created = await createByTus(url, { name: 'half.bin', length: 2 * MIB })
    await appendByTus(locationOf(created, url), 0, Buffer.alloc(MIB))
    const fields = ['Upload-Complete: ?1']
    await send(`${url}/files/whole.txt`, ['-T', '-'], { fields, content: Buffer.from('content') })
    await ferry.shown(
      /half\.bin +\S*█+\S*░+\S* 50 % of 2 MiB.*\r\n\S*1 on the way, .*; 1 received before/,
    )

    stop()
    const { exitCode, stdout } = await ferry.exit

    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/\d\d:\d\d:\d\d \S+\/whole\.txt: 7 B/)
    const [, end = ''] = stdout.split('Stopping; what is on its way is kept\r\n')
    expect(end).not.toContain('\u001b')
    expect(end.split('\r\n')).toEqual([
      `Stopped; 1 upload unfinished, kept in ${dir.join('.ferry')}:`,
      '  half.bin: 1 MiB of 2 MiB, by tus',
      `The same command lets their clients go on, if it listens at ${url} again`,
      'code 0',
      '',
    ])
  })

  test('prints nothing of a client that a terminal would obey', async () => {
    await using dir = await TempDir.create()
    const { run, url, stop } = await runOnTerminal(dir.path)
    await using ferry = run
    const created = await createByTus(url, { name: HOSTILE, length: MIB })
    await appendByTus(locationOf(created, url), 0, Buffer.alloc(10))
    await ferry.shown(/ 0 % of 1 MiB/)

    stop()
    const { stdout } = await ferry.exit

    const others = stdout.replaceAll(OWN_SEQUENCES, '').replaceAll('\r\n', '')
    expect(others).toContain('a_[2Jb_31mc_]0;title_d__e_f.txt')
    expect(others).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/)
  })
})

test('ferry receive --json escapes what a terminal would obey', async () => {
  await using dir = await TempDir.create()
  await using server = await ReceiveProcess.start(dir.path)
  await createByTus(server.url, { name: HOSTILE, length: 1 })

  const { metadata } = await server.event('created')

  expect(metadata).toEqual({ filename: HOSTILE })
  expect(server.process.stdout.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
})
