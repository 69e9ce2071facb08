/** What a terminal shows, by way of the pseudo terminal that `script` (util-linux) opens. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Nginx } from '../support/nginx.ts'
import { runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const ERASE = '\u001b[0J'

/** Fetches on a terminal that `stty` has set up; gives what was printed. */
async function runOnTerminal(
  stty: string,
  content: Buffer,
  names: readonly string[] = ['file.bin'],
): Promise<string> {
  await using nginx = await Nginx.start({ limitRate: MIB })
  await using dir = await TempDir.create()
  for (const name of names) await nginx.put(name, content)
  // `script` takes a text for the shell; the words travel in the environment.
  const shell = `command="$*" script -qfec '${stty} && $command' /dev/null`
  const args = ['get', '-x', '2', ...names.map((name) => nginx.url(name))]

  const run = await runFerry(args, { cwd: dir.path, shell, env: { TERM: 'xterm' } })

  expect(run.exitCode).toBe(0)
  for (const name of names) expect(await dir.digest(name)).toBe(digestOf(content))
  return run.stdout
}

/** The lines that are left at the end, as a terminal shows them. */
function screenOf(output: string): string[] {
  const lines: string[] = ['']
  for (const piece of output.split(/(\u001b\[\d+F|\u001b\[0J|\u001b\[\?7[hl]|\r\n)/)) {
    const up = /^\u001b\[(\d+)F$/.exec(piece)
    if (up !== null) lines.splice(lines.length - 1 - Number(up[1]), Number(up[1]) + 1, '')
    else if (piece === '\r\n') lines.push('')
    else if (piece !== ERASE && !/^\u001b\[\?7[hl]$/.test(piece)) lines[lines.length - 1] += piece
  }
  return lines
}

test('ferry get draws a bar and its connections on a terminal, and erases them', async () => {
  const output = await runOnTerminal('stty cols 72', randomBytes(4 * MIB))

  const frames = output.split(ERASE)
  expect(frames.length).toBeGreaterThan(5)
  expect(frames.some((frame) => /█+.*░+.* \d+ % of 4 MiB/.test(frame))).toBe(true)
  expect(frames.some((frame) => / 1 {2}\S+ \w+ → .*\r\n.* 2 {2}\S+ \w+ → /.test(frame))).toBe(true)
  expect(screenOf(output)).toEqual([
    expect.stringMatching(/\/file\.bin: 4 MiB in /),
    expect.stringMatching(/^ {2}[▁-█]+ {2}4 MiB in .+ on average, .+ at best$/),
    expect.stringMatching(/^ {2}\d+ connections carried \d+ %(, \d+ %)+$/),
    '',
  ])
})

test('ferry get draws a line for each of several files, and one for all', async () => {
  const output = await runOnTerminal('stty cols 100', randomBytes(2 * MIB), ['a.bin', 'b.bin'])

  const frames = output.split(ERASE)
  expect(
    frames.some((frame) =>
      /a\.bin .*█+.* % of 2 MiB.*\r\n.*b\.bin .* % of 2 MiB.*\r\n.*0 of 2 files done, 2 on the way, /.test(
        frame,
      ),
    ),
  ).toBe(true)
  const screen = screenOf(output)
  expect(screen.slice(0, 2).toSorted()).toEqual([
    expect.stringMatching(/\/a\.bin: 2 MiB in /),
    expect.stringMatching(/\/b\.bin: 2 MiB in /),
  ])
  expect(screen.join()).not.toContain('of 2 files')
})

test('ferry get draws nothing that a terminal would wrap, however wide its characters', async () => {
  const output = await runOnTerminal('stty cols 72', randomBytes(MIB))

  const drawn = output.split(ERASE).filter((frame) => frame.includes(' % of 1 MiB'))
  expect(drawn.length).toBeGreaterThan(1)
  for (const frame of drawn) {
    expect(frame).toMatch(/^\u001b\[\?7l[^]* % of 1 MiB[^]*\r\n\u001b\[\?7h(\u001b\[\d+F)?$/)
  }
})

test('ferry get draws on a terminal that does not know its width', async () => {
  const output = await runOnTerminal('stty cols 0', randomBytes(MIB))

  expect(output).toContain(' % of 1 MiB')
})
