/**
 * Holds every import of packages/ferry/src against the table in `layers.ts`, and the table inside
 * ARCHITECTURE.md against the same; and what entries for browsers load against what browsers have. `--write` brings ARCHITECTURE.md up to date.
 *
 * The rules are pure functions over texts; only the last part touches files.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { parseSync, Visitor } from 'vite'
import {
  BROWSER_ENTRIES,
  BROWSER_PACKAGES,
  FORBIDDEN_IN_PROTOCOL,
  formatLayers,
  type Layer,
  LAYERS,
  NODE_GLOBALS,
} from './layers.ts'

export interface SourceFile {
  /** Relative to packages/ferry/src, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** Gives one sentence a violation; none when the file keeps to its layer. */
export function checkFile(file: SourceFile, layers: readonly Layer[] = LAYERS): string[] {
  const layer = layers.find(({ name }) => name === layerNameOf(file.path))
  if (layer === undefined) return [`${file.path} belongs to no layer of scripts/layers.ts`]
  const { imports, effects } = readSource(file)
  const brokenImports = imports.flatMap((specifier) => {
    const rule = findBrokenRule(file.path, layer, specifier)
    return rule === undefined ? [] : [`${file.path} imports '${specifier}', but ${rule}`]
  })
  if (layer.name !== 'protocol' || isTest(file.path)) return brokenImports
  const found = [...new Set(effects)]
  return [
    ...brokenImports,
    ...found.map((name) => `${file.path} uses ${name}, but protocol may not`),
  ]
}

/**
 * Gives one sentence for each thing of Node that an entry for browsers loads, by whatever way.
 * @param read gives the text of a file by its path relative to packages/ferry/src
 */
export function checkBrowserEntry(entry: string, read: (path: string) => string): string[] {
  const problems: string[] = []
  const paths = new Set([entry])
  // A set gives what is added to it meanwhile, too.
  for (const path of paths) {
    const { loads, globals } = readLoads({ path, text: read(path) })
    for (const specifier of loads) {
      if (specifier.startsWith('.')) paths.add(posix.join(posix.dirname(path), specifier))
      else if (!BROWSER_PACKAGES.includes(specifier)) {
        problems.push(`${path} imports '${specifier}', but ${entry} loads it in browsers`)
      }
    }
    for (const name of globals) {
      problems.push(`${path} uses ${name} unasked, but ${entry} loads it in browsers`)
    }
  }
  return problems
}

const START = '<!-- layers:start -->'
const END = '<!-- layers:end -->'

/** Puts the table between the two marks of a document; undefined when the marks are not there. */
export function replaceTable(document: string, table: string): string | undefined {
  const start = document.indexOf(START)
  const end = document.indexOf(END, start)
  if (start === -1 || end === -1) return undefined
  return `${document.slice(0, start + START.length)}\n${table}\n${document.slice(end)}`
}

function findBrokenRule(path: string, layer: Layer, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return findBrokenOutsideRule(path, layer, specifier)
  const imported = posix.join(posix.dirname(path), specifier)
  if (imported.startsWith('..'))
    return isTest(path) ? undefined : 'ferry may not import files outside src'
  const target = layerNameOf(imported)
  if (target === layer.name || layer.mayImport === 'every layer') return undefined
  if (target === 'testing') return isTest(path) ? undefined : 'nothing but tests may import testing'
  if (layer.mayImport.includes(target)) return undefined
  return `${layer.name} may import only ${layer.mayImport.join(', ') || 'itself'}`
}

function findBrokenOutsideRule(path: string, layer: Layer, specifier: string): string | undefined {
  const { name, outside, except } = layer
  if (/^ferry(\/|$)/.test(specifier)) return 'ferry imports itself by relative path'
  // A test may need the other end of a socket.
  if (except.includes(specifier) && !isTest(path))
    return `${name} may not import ${except.join(' or ')}`
  if (outside === 'anything') return undefined
  if (specifier.startsWith('node:')) {
    return outside === 'node:' ? undefined : `${name} may import nothing from outside src`
  }
  // A test imports at least its runner.
  if (isTest(path)) return undefined
  return `${name} may import ${outside === 'node:' ? 'no package' : 'nothing from outside src'}`
}

function layerNameOf(path: string): string {
  return path.split('/', 1)[0]?.replace(/(\.test(-d)?)?\.ts$/, '') ?? ''
}

function isTest(path: string): boolean {
  return /\.test(-d)?\.ts$/.test(path)
}

function readSource(file: SourceFile): { imports: string[]; effects: string[] } {
  const { program, errors } = parseSync(file.path, file.text)
  if (errors[0] !== undefined) throw new SyntaxError(`${file.path}: ${errors[0].message}`)
  const imports: string[] = []
  const effects: string[] = []
  const addImport = (node: { source: { type: string; value?: unknown } | null }): void => {
    if (typeof node.source?.value === 'string') imports.push(node.source.value)
  }
  const addEffect = (name: string): void => {
    if (FORBIDDEN_IN_PROTOCOL.includes(name)) effects.push(name)
  }
  new Visitor({
    ImportDeclaration: addImport,
    ExportNamedDeclaration: addImport,
    ExportAllDeclaration: addImport,
    ImportExpression: addImport,
    TSImportType: addImport,
    AwaitExpression: () => effects.push('await'),
    ForOfStatement: (node) => node.await && effects.push('await'),
    Identifier: (node) => addEffect(node.name),
    MemberExpression: (node) => {
      if (node.object.type !== 'Identifier' || node.property.type !== 'Identifier') return
      addEffect(`${node.object.name}.${node.property.name}`)
    },
  }).visit(program)
  return { imports, effects }
}

/** What a file imports when it runs, and the globals of Node that it uses without `typeof`. */
function readLoads({ path, text }: SourceFile): { loads: string[]; globals: string[] } {
  const loads: string[] = []
  const used = new Set<string>()
  const asked = new Set<string>()
  const add = (node: {
    source: { type: string; value?: unknown } | null
    importKind?: string
    exportKind?: string
  }): void => {
    if (node.importKind === 'type' || node.exportKind === 'type') return
    if (typeof node.source?.value === 'string') loads.push(node.source.value)
  }
  new Visitor({
    ImportDeclaration: add,
    ExportNamedDeclaration: add,
    ExportAllDeclaration: add,
    ImportExpression: add,
    Identifier: ({ name }) => void (NODE_GLOBALS.includes(name) && used.add(name)),
    UnaryExpression: ({ operator, argument }) => {
      if (operator === 'typeof' && argument.type === 'Identifier') asked.add(argument.name)
    },
  }).visit(parseSync(path, text).program)
  return { loads, globals: [...used].filter((name) => !asked.has(name)) }
}

if (import.meta.main) {
  const root = new URL('..', import.meta.url)
  const src = new URL('packages/ferry/src/', root)
  const paths = globSync('**/*.ts', { cwd: src }).map((path) => path.replaceAll('\\', '/'))
  const problems = paths
    .toSorted()
    .flatMap((path) => checkFile({ path, text: readFileSync(new URL(path, src), 'utf8') }))

  const readText = (path: string): string => readFileSync(new URL(path, src), 'utf8')
  problems.push(...BROWSER_ENTRIES.flatMap((entry) => checkBrowserEntry(entry, readText)))

  const architecture = new URL('ARCHITECTURE.md', root)
  const document = readFileSync(architecture, 'utf8')
  const expected = replaceTable(document, formatLayers())
  if (expected === undefined) problems.push(`ARCHITECTURE.md lacks the lines ${START} and ${END}`)
  else if (process.argv.includes('--write')) writeFileSync(architecture, expected)
  else if (expected !== document) {
    problems.push(
      'ARCHITECTURE.md shows other layers than scripts/layers.ts: run node scripts/check-layers.ts --write',
    )
  }
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
