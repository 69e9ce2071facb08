/** The programs that `npm run faults` compares, each called the way its users would for a bad line. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import workspace from '../package.json' with { type: 'json' }
import { requireTool } from '../test/support/tools.ts'
import { type Command, FERRY, NODE } from './support.ts'

/** A program that fetches `url` into the file `name` in `folder`, and goes on where it was before. */
export interface FaultTool {
  readonly name: string
  /** What stands in the document; URL and file follow. */
  readonly call: string
  readonly version: () => string
  readonly command: (download: {
    readonly url: string
    readonly folder: string
    readonly name: string
  }) => Command
}

/** Its command is not among its exports. */
const IPULL = join(dirname(fileURLToPath(import.meta.resolve('ipull'))), 'cli/cli.js')
const FERRY_OPTIONS = ['get', '-x', '4', '--timeout', '10']
const ARIA2C_OPTIONS = [
  ...['-x', '4', '-s', '4', '-k', '1M', '-c', '-t', '10', '-m', '8', '--retry-wait=1'],
  ...['--auto-save-interval=1', '--auto-file-renaming=false'],
]
const CURL_OPTIONS = ['-f', '-L', '-C', '-', '--retry', '8', '-y', '10', '-Y', '1']
// With --chunk-size, -c makes it send two Range fields, which no server understands.
const WGET2_OPTIONS = ['-c', '--tries=8', '--waitretry=1', '--timeout=10']
const AXEL_OPTIONS = ['-n', '4', '-T', '10']
const IPULL_OPTIONS = ['-c', '4']

export const FAULT_TOOLS: readonly FaultTool[] = [
  {
    name: 'ferry',
    call: `ferry ${FERRY_OPTIONS.join(' ')}`,
    version: () => versionOf(FERRY),
    command: ({ url, folder, name }) => [
      ...FERRY,
      ...FERRY_OPTIONS,
      ...['-q', '-d', folder, '-o', name, url],
    ],
  },
  {
    name: 'aria2c',
    call: `aria2c ${ARIA2C_OPTIONS.join(' ')}`,
    version: () => versionOf([requireTool('aria2c')]),
    command: ({ url, folder, name }) => [
      requireTool('aria2c'),
      ...ARIA2C_OPTIONS,
      ...['-q', '--no-conf', '--file-allocation=none', '-d', folder, '-o', name, url],
    ],
  },
  {
    name: 'curl',
    call: `curl ${CURL_OPTIONS.join(' ')}`,
    version: () => versionOf([requireTool('curl')]),
    command: ({ url, folder, name }) => [
      requireTool('curl'),
      ...CURL_OPTIONS,
      ...['-sS', '-o', join(folder, name), url],
    ],
  },
  {
    name: 'wget2',
    call: `wget2 ${WGET2_OPTIONS.join(' ')}`,
    version: () => versionOf([requireTool('wget2')]),
    command: ({ url, folder, name }) => [
      requireTool('wget2'),
      ...WGET2_OPTIONS,
      ...['-q', '-O', join(folder, name), url],
    ],
  },
  {
    name: 'axel',
    call: `axel ${AXEL_OPTIONS.join(' ')}`,
    version: () => versionOf([requireTool('axel')]),
    command: ({ url, folder, name }) => [
      requireTool('axel'),
      ...AXEL_OPTIONS,
      ...['-q', '-o', join(folder, name), url],
    ],
  },
  {
    name: 'ipull',
    call: `ipull ${IPULL_OPTIONS.join(' ')}`,
    version: () => workspace.devDependencies.ipull,
    command: ({ url, folder, name }) => [
      NODE,
      IPULL,
      ...IPULL_OPTIONS,
      ...['-s', join(folder, name), url],
    ],
  },
]

function versionOf([program, ...args]: Command): string {
  const { stdout } = spawnSync(program, [...args, '--version'], { encoding: 'utf8' })
  return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'of unknown version'
}
