/** The layer check must be able to fail: each rule is broken here once on purpose. */
import { describe, expect, test } from 'vitest'
import { checkBrowserEntry, checkFile, replaceTable } from '../../scripts/check-layers.ts'
import { formatLayers, LAYERS } from '../../scripts/layers.ts'

function check(path: string, text: string): string[] {
  return checkFile({ path, text })
}

describe('checkFile() refuses', () => {
  test.for([
    ['protocol/http1/parser.ts', '../../clock.ts', 'protocol may import only errors'],
    ['protocol/http1/parser.ts', 'node:buffer', 'protocol may import nothing from outside src'],
    ['protocol/http1/parser.test.ts', 'node:fs', 'protocol may import nothing from outside src'],
    ['net/tcp.ts', '../transport/index.ts', 'net may import only errors, clock, protocol'],
    [
      'transport/pool.ts',
      '../client/index.ts',
      'transport may import only errors, clock, protocol, net',
    ],
    ['client/client.ts', 'node:net', 'client may not import node:net or node:tls'],
    ['client/client.ts', 'node:tls', 'client may not import node:net or node:tls'],
    ['transfer/journal.ts', '../client/index.ts', 'transfer may import only errors, clock'],
    ['clock.ts', 'some-package', 'clock may import no package'],
    ['download/planner.ts', '../upload/index.ts', 'download may import only'],
    ['download/planner.ts', '../receive/index.ts', 'download may import only'],
    ['upload/outbox.ts', '../download/index.ts', 'upload may import only'],
    ['receive/core.ts', '../download/index.ts', 'receive may import only'],
    ['receive/core.ts', '../upload/index.ts', 'receive may import only'],
    ['rpc/messages.ts', '../download/index.ts', 'rpc may import only'],
    ['errors.ts', './clock.ts', 'errors may import only itself'],
    ['client/client.ts', '../testing/index.ts', 'nothing but tests may import testing'],
    ['client/client.ts', 'ferry/errors', 'ferry imports itself by relative path'],
    ['client/client.ts', '../../../cli/src/index.ts', 'ferry may not import files outside src'],
  ] as const)('%s importing %s', ([path, specifier, rule]) => {
    const problems = check(path, `import { x } from '${specifier}'`)

    expect(problems).toEqual([
      expect.stringContaining(`${path} imports '${specifier}', but ${rule}`),
    ])
  })

  test.for([
    `import type { X } from '../client/index.ts'`,
    `import '../client/index.ts'`,
    `export { x } from '../client/index.ts'`,
    `export * from '../client/index.ts'`,
    `export type { X } from '../client/index.ts'`,
    `const x = await import('../client/index.ts')`,
    `type X = import('../client/index.ts').X`,
  ])('every form of import: %s', (text) => {
    expect(check('net/tcp.ts', text)).toHaveLength(1)
  })

  test.for([
    ['await', 'export async function f(p) { await p }'],
    ['await', 'export async function f(p) { for await (const x of p) g(x) }'],
    ['Date.now', 'export const at = Date.now()'],
    ['Math.random', 'export const mask = Math.random()'],
    ['setTimeout', 'setTimeout(() => {}, 1)'],
    ['setTimeout', 'const later = setTimeout'],
    ['performance.now', 'export const at = performance.now()'],
  ] as const)('%s in protocol: %s', ([name, text]) => {
    expect(check('protocol/x.ts', text)).toEqual([
      `protocol/x.ts uses ${name}, but protocol may not`,
    ])
  })

  test('a folder that the table does not know', () => {
    expect(check('misc/x.ts', '')).toEqual(['misc/x.ts belongs to no layer of scripts/layers.ts'])
  })
})

describe('checkFile() allows', () => {
  test.for([
    ['download/planner.ts', '../transfer/spans.ts'],
    ['download/planner.ts', './resume.ts'],
    ['transfer/journal.ts', 'node:fs/promises'],
    ['net/tcp.ts', 'node:net'],
    ['testing/fault-server.ts', '../receive/index.ts'],
    ['download/planner.test.ts', '../testing/index.ts'],
    ['protocol/http1/parser.test.ts', 'vitest'],
    ['clock.test.ts', '../../../test/support/tools.ts'],
  ] as const)('%s importing %s', ([path, specifier]) => {
    expect(check(path, `import { x } from '${specifier}'`)).toEqual([])
  })

  test('effects outside protocol, in its tests, and in its comments', () => {
    expect(check('client/retry.ts', 'export const at = Date.now()')).toEqual([])
    expect(check('protocol/x.test.ts', 'await f(Date.now())')).toEqual([])
    expect(check('protocol/x.ts', `/** import '../net/tcp.ts' then await Date.now() */`)).toEqual(
      [],
    )
  })
})

describe('checkBrowserEntry()', () => {
  const checkFiles = (files: Record<string, string>): string[] =>
    checkBrowserEntry('upload/browser/index.ts', (path) => files[path] ?? '')

  test('refuses what an entry for browsers loads of Node, however far away', () => {
    const problems = checkFiles({
      'upload/browser/index.ts': `export { a } from '../a.ts'`,
      'upload/a.ts': `import { type B, b } from '../transport/b.ts'\nawait import('ws')`,
      'transport/b.ts': `import 'node:fs'\nexport const b = Buffer.alloc(process.pid)`,
    })

    const why = 'but upload/browser/index.ts loads it in browsers'
    expect(problems).toEqual([
      `upload/a.ts imports 'ws', ${why}`,
      `transport/b.ts imports 'node:fs', ${why}`,
      `transport/b.ts uses Buffer unasked, ${why}`,
      `transport/b.ts uses process unasked, ${why}`,
    ])
  })

  test('lets in types, packages for browsers, and globals that are asked for', () => {
    const problems = checkFiles({
      'upload/browser/index.ts': `import type { A } from '../a.ts'\nimport 'hash-wasm'\nexport * from '../b.ts'`,
      'upload/a.ts': `import 'node:fs'`,
      'upload/b.ts': `export const b = typeof Buffer === 'undefined' ? 0 : Buffer.poolSize`,
    })

    expect(problems).toEqual([])
  })
})

describe('the table', () => {
  test('names only layers that exist, and only lower ones', () => {
    for (const [index, layer] of LAYERS.entries()) {
      if (layer.mayImport === 'every layer') continue
      const lower = LAYERS.slice(0, index).map(({ name }) => name)
      expect(lower).toEqual(expect.arrayContaining([...layer.mayImport]))
    }
  })

  test('stands between its marks, and a changed cell shows', () => {
    const table = formatLayers()
    const document = replaceTable(
      '# A\n<!-- layers:start -->\nold\n<!-- layers:end -->\nrest\n',
      table,
    )

    expect(document).toBe(`# A\n<!-- layers:start -->\n${table}\n<!-- layers:end -->\nrest\n`)
    expect(replaceTable(document!, table.replace('planner', 'plan'))).not.toBe(document)
    expect(replaceTable('# no marks', table)).toBeUndefined()
  })
})
