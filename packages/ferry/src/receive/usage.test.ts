import { expect, test } from 'vitest'
import { Usage } from './usage.ts'

test('Usage counts uploads of all and of each owner', () => {
  const usage = new Usage({ maxUploads: 3, maxUploadsPerOwner: 2, maxBytesPerOwner: undefined })
  usage.open('a')
  usage.open('a')

  expect(() => usage.open('a')).toThrow(expect.objectContaining({ code: 'quota-exceeded' }))
  usage.open('b')
  expect(() => usage.open('c')).toThrow(expect.objectContaining({ code: 'quota-exceeded' }))
  usage.close('a', { bytes: 0, storedBytes: 0 })
  usage.open(undefined)

  expect(() => usage.open('b')).toThrow('4 uploads in unfinished uploads')
})

test('Usage counts bytes of each owner, and takes nothing beyond the limit', () => {
  const usage = new Usage({ maxUploads: 9, maxUploadsPerOwner: undefined, maxBytesPerOwner: 100 })
  usage.open('a')
  usage.open('b')
  usage.take('a', 60)

  expect(() => usage.take('a', 41)).toThrow(
    'Cannot take more: 101 bytes in unfinished uploads would be beyond 100',
  )
  usage.take('b', 100)
  usage.take('a', 40)
  usage.close('a', { bytes: 100, storedBytes: 0 })
  usage.reopen('a', { bytes: 30, storedBytes: 0 })
  usage.take('a', 70)

  expect(() => usage.take('a', 1)).toThrow('beyond 100')
})
