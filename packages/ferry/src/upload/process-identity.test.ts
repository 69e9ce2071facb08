import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { hasEnded, identifyProcess } from './process-identity.ts'

const isLinux = process.platform === 'linux'

test('a process that runs has not ended', () => {
  const self = identifyProcess()

  expect(self.pid).toBe(process.pid)
  expect(hasEnded(self, self)).toBe(false)
})

test.runIf(isLinux)('a process that is gone has ended', async () => {
  const self = identifyProcess()
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  const { pid = 0 } = child
  await once(child, 'exit')

  expect(hasEnded({ ...self, pid }, self)).toBe(true)
})

test.runIf(isLinux)('a process whose number another one has by now has ended', () => {
  const self = identifyProcess()

  expect(hasEnded({ ...self, start: '1' }, self)).toBe(true)
})

test('nothing is said of processes of another start, another container, or of unknown ones', () => {
  const self = identifyProcess()
  const gone = { ...self, pid: 2 ** 30 }

  expect(hasEnded({ ...gone, boot: 'other' }, self)).toBe(false)
  expect(hasEnded({ ...gone, space: 'pid:[1]' }, self)).toBe(false)
  expect(hasEnded({ ...gone, boot: '' }, { ...self, boot: '' })).toBe(false)
  expect(hasEnded({ ...gone, space: '' }, { ...self, space: '' })).toBe(false)
  expect(hasEnded({ ...gone, start: '' }, self)).toBe(false)
})
