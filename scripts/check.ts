/**
 * Runs every check, one line each with its time, and shows what the failing ones printed.
 * A step is the npm script `check:<name>`, so that each can be run alone.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface RootManifest {
  readonly scripts: Readonly<Record<string, string>>
}

const ROOT = join(import.meta.dirname, '..')
const PREFIX = 'check:'
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as RootManifest

for (const script of Object.keys(manifest.scripts).filter((name) => name.startsWith(PREFIX))) {
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--run', script], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const name = script.slice(PREFIX.length).padEnd(10)
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} ${seconds.padStart(5)} s`)
  if (status === 0) continue
  console.log(`${stdout}${stderr}`)
  process.exitCode = 1
}
