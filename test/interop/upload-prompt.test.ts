/** The question for an API key, at the pseudo terminal that `script` (util-linux) opens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { expect, test } from 'vitest'

const MAIN = new URL('../support/prompt-main.ts', import.meta.url).pathname

/** Types something when it is asked; gives all that the terminal has shown. */
async function type(text: string): Promise<string> {
  const command = `'${process.execPath}' '${MAIN}'`
  const child: ChildProcess = spawn('sh', ['-c', 'exec script -qfec "$command" /dev/null'], {
    env: { ...process.env, command },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    if (!shown.includes('API key: ') && (shown + part).includes('API key: ')) {
      child.stdin?.write(text)
    }
    shown += part
  })
  await once(child, 'close')
  return shown
}

test('A secret is not shown while it is typed', async () => {
  const shown = await type('s3cret word\r')

  expect(shown).toContain(`typed ${hash('sha256', 's3cret word')}`)
  expect(shown).not.toContain('s3cret')
})

test.each([
  ['Return', '\r'],
  ['Ctrl-D', '\u0004'],
])('%s alone is no secret', async (_, key) => {
  expect(await type(key)).toContain('Cannot ask for apiKey: nothing was typed')
})

test('Ctrl-C is the signal that it is elsewhere', async () => {
  const shown = await type('s3cr\u0003')

  expect(shown).toContain('Cannot ask for apiKey: it was interrupted')
  expect(shown).toContain('SIGINT came')
  expect(shown).not.toContain('s3cr')
})
