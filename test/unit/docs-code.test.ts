/**
 * Holds the pages to the code: every TypeScript block compiles against the library as a reader would
 * use it, and what docs/transport.md says of options and examples is so.
 */
import { execFile } from 'node:child_process'
import {
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { resolvePoolOptions } from '../../packages/ferry/src/transport/pool-options.ts'

const ROOT = join(import.meta.dirname, '../..')
const PAGES = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]
/** What blocks may use without a word: each page says so where it does. */
const GLOBALS = `
declare const pool: import('ferry/transport').ConnectionPool
declare const url: string
`
const TYPE_CHECK_TIMEOUT_MS = 60_000

test(
  'every TypeScript block of the pages compiles',
  { timeout: TYPE_CHECK_TIMEOUT_MS },
  async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-docs-'))
    const blocks = PAGES.flatMap(readBlocks)
    for (const { name, code } of blocks) writeFileSync(join(folder.path, name), code)
    writeFileSync(join(folder.path, 'globals.d.ts'), GLOBALS)
    writeFileSync(join(folder.path, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(configFor()))
    symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'))

    const complaints = await compile(folder.path)

    expect(blocks.length).toBeGreaterThan(10)
    expect(complaints).toBe('')
  },
)

test('docs/transport.md gives every option of a pool that is a number, with its default', () => {
  const { limits, timeouts, http2, ...rest } = resolvePoolOptions({})
  const { pingIntervalMs, pingTimeoutMs } = http2
  const defaults = Object.entries({
    ...limits,
    ...timeouts,
    ...rest,
    pingIntervalMs,
    pingTimeoutMs,
  })

  // A row of a table: the option first or second, its default after it.
  const rows = readPage('docs/transport.md').matchAll(/\| `(\w+)` \| ([\d ]+|`Infinity`) \|/g)

  const documented = [...rows].map(([, name, value = '']) => [
    name,
    Number(value.replace(/[ `]/g, '')),
  ])
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(defaults))
})

test('examples/README.md names examples that exist, all of them', () => {
  expect(namedExamples('examples/README.md')).toEqual(new Set(programs()))
})

test('the pages together name every example', () => {
  const named = PAGES.flatMap((page) => [...namedExamples(page)])

  expect(named).toEqual(expect.arrayContaining(programs()))
})

function namedExamples(page: string): Set<string | undefined> {
  return new Set([...readPage(page).matchAll(/`([a-z0-9-]+\.ts)`/g)].map(([, name]) => name))
}

function programs(): string[] {
  return readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'))
}

interface Block {
  /** `docs-transport.md-12.ts`: page and line, which the compiler shows. */
  readonly name: string
  readonly code: string
}

function readBlocks(page: string): Block[] {
  const text = readPage(page)
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length + 1
    // A module even without an import, so that blocks do not see each other.
    return { name: `${page.replace('/', '-')}-${line}.ts`, code: `${code}export {}\n` }
  })
}

function readPage(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

function configFor(): object {
  return {
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: true,
      composite: false,
      declaration: false,
      declarationMap: false,
      isolatedDeclarations: false,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
    },
    include: ['*.ts'],
  }
}

/** Gives what the compiler complains about. */
async function compile(folder: string): Promise<string> {
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const run = promisify(execFile)(tsc, ['-p', '.', '--pretty', 'false'], { cwd: folder })
  const { stdout } = await run.catch((error: Error & { stdout: string }) => error)
  return stdout.replaceAll(`${basename(folder)}/`, '')
}
