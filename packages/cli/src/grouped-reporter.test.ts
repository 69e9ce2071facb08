import { ConnectError } from 'ferry/errors'
import { expect, test } from 'vitest'
import { Interruption } from './fetch-failure.ts'
import { GroupedReporter } from './grouped-reporter.ts'
import { createReporter } from './reporter.ts'
import { UPLOADS } from './send-task.ts'

/** What is told of failures with these errors, each of another file. */
function told(errors: readonly Error[]): string {
  let text = ''
  const output = { write: (more: string) => (text += more) }
  const reporter = new GroupedReporter(
    createReporter(UPLOADS, { json: false, quiet: false }, { stdout: output, stderr: output }),
  )
  for (const [index, error] of errors.entries()) {
    const message = `${index}: ${error.message}`
    reporter.failed({ url: undefined, error, code: 'unexpected', exitCode: 1, message }, index)
  }
  reporter.end()
  reporter.close()
  return text
}

test('GroupedReporter tells once what keeps several files from being sent', () => {
  const error = new ConnectError('connect', 'Cannot connect')
  const other = new ConnectError('connect', 'Cannot connect')

  expect(told([error, error, other, error])).toBe(
    'ferry: 0: Cannot connect\nferry: 2: Cannot connect\nNot tried, for the same reason: 2 files\n',
  )
})

test('GroupedReporter tells how far each file was when all were interrupted', () => {
  const error = new Interruption('SIGINT')

  expect(told([error, error])).toBe('ferry: 0: Interrupted\nferry: 1: Interrupted\n')
})
