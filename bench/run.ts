/**
 * Compares Ferry with its peers in one run, on loopback: `npm run bench [-- --quick --only NAMES]`.
 * Prints markdown and, when everything ran in full, keeps it as `bench/results.md`. Nothing passes
 * or fails here: times depend on the machine, so only ratios within one run mean something.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { requireTool, type Tool } from '../test/support/tools.ts'
import { benchHttp2Download } from './http2-download.ts'
import { benchMemory } from './memory.ts'
import { benchPutMany } from './put-many.ts'
import { benchPutMemory } from './put-memory.ts'
import { benchPutOutbox } from './put-outbox.ts'
import { benchPut } from './put.ts'
import { benchReceive } from './receive.ts'
import { REQUEST_BENCHMARKS } from './requests.ts'
import { benchSse } from './sse.ts'
import { benchStart } from './start.ts'
import { type BenchOptions, clearUpAtExit, exitOnSignals, NODE, progress } from './support.ts'
import { benchTls } from './tls.ts'
import { benchTransfer } from './transfer.ts'
import { benchHttp2Upload, benchUpload } from './upload.ts'
import { benchWebSocket } from './websocket.ts'

const BENCHMARKS: Readonly<Record<string, (options: BenchOptions) => Promise<string>>> = {
  transfer: (options) => benchTransfer({ ...options, tls: false }),
  tls: benchTls,
  upload: benchUpload,
  'h2-download': benchHttp2Download,
  'h2-upload': benchHttp2Upload,
  receive: benchReceive,
  'put-file': benchPut,
  'put-outbox': benchPutOutbox,
  'put-memory': benchPutMemory,
  'put-many': benchPutMany,
  ...REQUEST_BENCHMARKS,
  websocket: benchWebSocket,
  sse: benchSse,
  memory: benchMemory,
  start: benchStart,
}
/** Several under one name. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  put: ['put-file', 'put-outbox', 'put-memory', 'put-many'],
}
const PACKAGES = [
  'undici',
  'ws',
  'eventsource',
  '@tus/server',
  '@tus/file-store',
  'tus-js-client',
] as const
const RESULTS = join(import.meta.dirname, 'results.md')

const require = createRequire(import.meta.url)

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const only = values.only?.split(',').flatMap((name) => GROUPS[name] ?? [name])
const wanted = only ?? Object.keys(BENCHMARKS)
exitOnSignals()
clearUpAtExit()
const sections = [`# Benchmarks\n\n${describeRun()}\n`]
for (const name of wanted) {
  const bench = BENCHMARKS[name]
  if (bench === undefined) {
    throw new Error(`Cannot run ${name}: expected ${Object.keys(BENCHMARKS).join(', ')}`)
  }
  sections.push(await bench({ quick: values.quick }))
}
const text = sections.join('\n')
process.stdout.write(text)
if (values.quick || values.only !== undefined) progress('bench/results.md is kept: not a full run')
else writeFileSync(RESULTS, text)

function describeRun(): string {
  const processors = cpus()
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${processors[0]?.model.trim()}, ${processors.length} cores, Linux ${release()}`,
    `- node ${execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim().slice(1)}, ${PACKAGES.map(describePackage).join(', ')}`,
    `- ${(['nginx', 'curl', 'aria2c', 'wget2', 'axel'] as const).map(describeTool).join(', ')}`,
  ].join('\n')
}

/** They are pinned; not every package lets its own manifest be read. */
function describePackage(name: string): string {
  const { devDependencies } = require('../package.json') as {
    devDependencies: Readonly<Record<string, string>>
  }
  return `${name} ${devDependencies[name]}`
}

function describeTool(tool: Tool): string {
  const { stdout, stderr } = spawnSync(requireTool(tool), [tool === 'nginx' ? '-v' : '--version'], {
    encoding: 'utf8',
  })
  const version = /\d+(?:\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'of unknown version'
  return `${tool} ${version}`
}
