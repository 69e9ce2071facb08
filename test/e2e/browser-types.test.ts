/** The entry for browsers has the types of a page, and none of Node: what a page's own compiler sees. */
import { execFileSync } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const OPTIONS = {
  target: 'ES2024',
  lib: ['ES2024', 'ESNext.Disposable', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
  module: 'ESNext',
  moduleResolution: 'Bundler',
  strict: true,
  noEmit: true,
  types: [],
}

test('the code of docs/upload-browser.md compiles for a page', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-page-'))
  const page = readFileSync(join(ROOT, 'docs/upload-browser.md'), 'utf8')
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code)
  for (const [index, code] of blocks.entries()) {
    writeFileSync(join(folder.path, `block-${index}.ts`), code)
  }
  const config = { compilerOptions: OPTIONS, include: ['*.ts'] }
  writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(config))
  symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'))

  expect(blocks.length).toBe(2)
  expect(complaints(folder.path)).toBe('')
})

function complaints(folder: string): string {
  try {
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    return execFileSync(tsc, ['-p', '.', '--pretty', 'false'], { cwd: folder, encoding: 'utf8' })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}
