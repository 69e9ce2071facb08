import { mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fileKey, TargetClaim } from './target-claim.ts'

const FIRST_END = Promise.resolve()

/** Two downloads of one run, the first of which writes `path`. */
function claimTwo(path: string): { readonly first: TargetClaim; readonly second: TargetClaim } {
  const writing = new Map<string, Promise<unknown>>()
  const first = new TargetClaim(writing, FIRST_END)
  void first.move(path)
  return { first, second: new TargetClaim(writing, Promise.resolve()) }
}

describe('TargetClaim', () => {
  test.each(['/nowhere/file', '/nowhere/./file', '/nowhere/FILE', '/nowhere/x/../file'])(
    'takes /nowhere/file and %s for one',
    (path) => {
      expect(claimTwo('/nowhere/file').second.move(path)).toBe(FIRST_END)
    },
  )

  test('takes an accent for one, however it is written', () => {
    expect(claimTwo('/nowhere/\u00e9').second.move('/nowhere/e\u0301')).toBe(FIRST_END)
  })

  test('follows links, to files that are not there yet too', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-claim-'))
    symlinkSync('file', join(folder.path, 'link'))
    symlinkSync('.', join(folder.path, 'folder'))
    const { second } = claimTwo(join(folder.path, 'file'))

    expect(second.move(join(folder.path, 'link'))).toBe(FIRST_END)
    expect(second.move(join(folder.path, 'folder/file'))).toBe(FIRST_END)
  })

  test('leaves a path when it takes another, or is released', () => {
    const { first, second } = claimTwo('/nowhere/a')

    void first.move('/nowhere/b')
    expect(second.move('/nowhere/a')).toBeUndefined()
    expect(second.move('/nowhere/a')).toBeUndefined()
    expect(second.move('/nowhere/b')).toBe(FIRST_END)
    first.release()
    expect(second.move('/nowhere/b')).toBeUndefined()
  })
})

test('fileKey() tells files apart, not names', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-key-'))
  const [a, b, link] = ['a', 'b', 'link'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(a, '')
  writeFileSync(b, '')
  symlinkSync('a', link)

  expect(fileKey(a)).toBe(fileKey(link))
  expect(fileKey(a)).not.toBe(fileKey(b))
  expect(fileKey(join(folder.path, 'absent'))).toBeUndefined()
})
