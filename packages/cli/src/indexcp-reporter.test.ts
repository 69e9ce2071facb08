import { expect, test } from 'vitest'
import { describeUpload } from './indexcp-reporter.ts'

test.each([
  [undefined, 'Upload complete for ./a/b.txt'],
  ['b.txt', 'Upload complete for ./a/b.txt'],
  ['c.txt', 'Upload complete for ./a/b.txt -> Server saved as: c.txt'],
])('describeUpload() of what the server calls %j', (remoteName, told) => {
  const result = {
    protocol: 'indexedcp' as const,
    ...{ name: './a/b.txt', remoteName, uploadUrl: undefined, size: 1 },
    ...{ transmittedBytes: 1, resumedBytes: 0, elapsedMs: 1 },
  }

  expect(describeUpload(result)).toBe(told)
})
