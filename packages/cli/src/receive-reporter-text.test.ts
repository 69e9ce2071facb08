import type { UploadStatus } from 'ferry/receive'
import { expect, test } from 'vitest'
import { TextReceiveReporter } from './receive-reporter-text.ts'

// No store gives such a name to a file; a reporter does not count on it.
const HOSTILE = 'a\u001b[2Jb\u009bc\rd.bin'
const SHOWN = 'a?[2Jb?c?d.bin'

const UPLOAD: UploadStatus = {
  id: '1',
  state: 'unfinished',
  offset: 0,
  spans: [],
  length: 2048,
  name: HOSTILE,
  metadata: {},
  notes: {},
  finish: 'when-full',
  owner: HOSTILE,
  door: 'tus',
  createdAt: 0,
  expiresAt: 1,
  isReceiving: false,
}

test.each([
  { isTTY: true, time: /^\d\d:\d\d:\d\d / },
  { isTTY: false, time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z / },
])('TextReceiveReporter prints no control characters, isTTY $isTTY', ({ isTTY, time }) => {
  const [out, err]: [string[], string[]] = [[], []]
  const stderr = { write: (text: string) => err.push(text), isTTY }
  const reporter = new TextReceiveReporter({ write: (text) => out.push(text) }, stderr, '/in')

  reporter.begin({
    url: 'http://127.0.0.1:3000',
    folder: `/in/${HOSTILE}`,
    machineAddresses: [],
    doors: ['tus'],
    keyFile: undefined,
    problems: [{ type: 'stray-file', name: HOSTILE }],
    unfinished: [UPLOAD],
  })
  reporter.event({ id: '1', type: 'terminated', upload: UPLOAD })
  reporter.event({ id: '2', type: 'completed', upload: { ...UPLOAD, state: 'completed' } })
  reporter.failed({ message: HOSTILE })
  reporter.end([UPLOAD])
  reporter.close()

  const printed = [...out, ...err].join('')
  expect(printed.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
  expect(printed.split(SHOWN).length - 1).toBe(10)
  expect(out).toEqual([expect.stringMatching(time)])
  expect(out[0]).toContain(`/in/${SHOWN}: 2 KiB, by tus from ${SHOWN}\n`)
})
