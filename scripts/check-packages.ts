/**
 * Checks the packages as a stranger gets them: each is packed, judged by publint, and installed
 * from its tarball in an empty folder, where every entry of ferry is imported and the command runs.
 * The names that an entry exports are held against `exports.snapshot.json`; `--write` updates it.
 *
 * It reads `dist`, so build first. Only commander comes from the registry, or from npm's cache.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { parseSync } from 'vite'

interface EntryNames {
  /** Names that exist when the program runs. */
  readonly values: readonly string[]
  /** Names that only the compiler sees. */
  readonly types: readonly string[]
}
type Snapshot = Readonly<Record<string, EntryNames>>

interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

const ROOT = join(import.meta.dirname, '..')
const SNAPSHOT = join(import.meta.dirname, 'exports.snapshot.json')

using folder = mkdtempDisposableSync(join(tmpdir(), 'ferry-packages-'))
const problems: string[] = []
try {
  const tarballs = []
  for (const name of ['ferry', 'cli']) tarballs.push(await packAndLint(name))
  installTarballs(tarballs)
  compareExports(readInstalledNames())
  checkCommand()
} catch (error) {
  problems.push((error as Error).message)
}
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

/** Gives the path of the tarball. */
async function packAndLint(name: string): Promise<string> {
  const pkgDir = join(ROOT, 'packages', name)
  const report = runNpm(
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder.path],
    pkgDir,
  )
  const tarball = join(folder.path, findTarballName(JSON.parse(report)))
  const bytes = readFileSync(tarball)
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(bytes).buffer } })
  for (const message of messages) {
    const sentence = formatMessage(message, pkg, { color: false }) ?? message.code
    problems.push(`packages/${name}/package.json: ${sentence}`)
  }
  return tarball
}

/** npm 11 and older report an array, npm 12 an object by package name. */
function findTarballName(report: unknown): string {
  const [packed] = Object.values(report as Record<string, { filename: string }>)
  if (packed === undefined) throw new Error('Cannot pack: npm reported no tarball')
  return packed.filename
}

function installTarballs(tarballs: readonly string[]): void {
  writeFileSync(join(folder.path, 'package.json'), '{ "private": true, "type": "module" }\n')
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  runNpm(['install', '--ignore-scripts', '--prefer-offline', ...quiet, ...tarballs], folder.path)
}

/** Imports every entry in a process of its own, where nothing of the workspace can be found. */
function readInstalledNames(): Snapshot {
  const { exports } = readManifest('ferry')
  const entries = Object.entries(exports).filter(([entry]) => entry !== './package.json')
  return Object.fromEntries(
    entries.map(([entry, target]) => {
      const values = importNames(entry.replace('.', 'ferry'))
      const typesFile = typeof target === 'string' ? undefined : target['types']
      const declared = typesFile === undefined ? [] : readDeclaredNames(typesFile)
      const undeclared = values.filter((name) => !declared.includes(name))
      if (undeclared.length > 0) {
        problems.push(`${entry} exports ${undeclared.join(', ')}, but its types do not`)
      }
      return [entry, { values, types: declared.filter((name) => !values.includes(name)) }]
    }),
  )
}

function importNames(specifier: string): string[] {
  const code = `console.log(JSON.stringify(Object.keys(await import('${specifier}'))))`
  const output = runNode(['--input-type=module', '--eval', code])
  return (JSON.parse(output) as string[]).toSorted()
}

function readDeclaredNames(typesFile: string): string[] {
  const path = join(folder.path, 'node_modules/ferry', typesFile)
  const { module } = parseSync(path, readFileSync(path, 'utf8'))
  const names = module.staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName }) => exportName.name ?? '*'),
  )
  if (names.includes('*')) problems.push(`${typesFile} exports *: an entry names what it exports`)
  return [...new Set(names)].toSorted()
}

function compareExports(found: Snapshot): void {
  if (process.argv.includes('--write')) {
    writeFileSync(SNAPSHOT, `${JSON.stringify(found, undefined, 2)}\n`)
    return
  }
  const expected = JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Snapshot
  for (const entry of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const before = listNames(expected[entry])
    const after = listNames(found[entry])
    const changes = [
      ...after.filter((name) => !before.includes(name)).map((name) => `+ ${name}`),
      ...before.filter((name) => !after.includes(name)).map((name) => `- ${name}`),
    ]
    if (changes.length === 0) continue
    problems.push(
      `${entry} exports other names than scripts/exports.snapshot.json (${changes.join(', ')}): ` +
        'if that is wanted, run node scripts/check-packages.ts --write',
    )
  }
}

function listNames(names: EntryNames = { values: [], types: [] }): string[] {
  return [...names.values, ...names.types.map((name) => `type ${name}`)]
}

function checkCommand(): void {
  const { version } = readManifest('@ferry/cli')
  const command = join(folder.path, 'node_modules/@ferry/cli/bin/ferry.js')
  const output = runNode([command, '--version']).trim()
  if (!output.includes(version)) problems.push(`ferry --version says '${output}', not '${version}'`)
}

function readManifest(name: string): Manifest {
  return JSON.parse(
    readFileSync(join(folder.path, 'node_modules', name, 'package.json'), 'utf8'),
  ) as Manifest
}

function runNode(args: readonly string[]): string {
  return run(process.execPath, args, folder.path)
}

function runNpm(args: readonly string[], cwd: string): string {
  return run('npm', args, cwd)
}

/** Gives what the command printed. */
function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
