/**
 * Makes the programs present that tests need (and those of the benchmarks, with `--bench`), or only
 * those named as arguments.
 *
 * It installs Debian packages when it may (root, apt-get); otherwise it names them and goes on:
 * the test that needs one then fails with the same sentence. It never fails the run itself.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { DEBIAN_PACKAGES, findTool, type Tool } from '../test/support/tools.ts'

const FOR_TESTS: readonly Tool[] = [
  'nginx',
  'curl',
  'aria2c',
  'openssl',
  'python3',
  'apache2',
  'haproxy',
  'caddy',
  'lighttpd',
  'squid',
  'tinyproxy',
  'danted',
  'microsocks',
  'nghttpd',
  'nghttpx',
  'python3-h2',
  'python3-websockets',
  'python3-tusclient',
  'gnutls-serv',
  'strace',
  'chromium',
]
const FOR_BENCHMARKS: readonly Tool[] = ['wget2', 'axel', 'time']
/** Debian asks this program whether a freshly installed service may start; 101 means no. */
const POLICY = '/usr/sbin/policy-rc.d'
/** Ten minutes for a call of apt-get: a mirror that does not answer must not hold up the tests. */
const APT_GET_TIMEOUT_MS = 600_000

const named = process.argv.slice(2).filter((arg) => arg in DEBIAN_PACKAGES) as Tool[]
const wanted = process.argv.includes('--bench')
  ? [...FOR_TESTS, ...FOR_BENCHMARKS]
  : named.length > 0
    ? named
    : FOR_TESTS
const missing = findMissing()
if (missing.length === 0) console.log(`ensure-tools: ${wanted.join(', ')} are present`)
else {
  const packages = missing.map((tool) => DEBIAN_PACKAGES[tool])
  const obstacle = findObstacle() ?? installPackages(packages)
  if (obstacle === undefined) console.log(`ensure-tools: installed ${packages.join(', ')}`)
  else {
    const names = findMissing().map((tool) => DEBIAN_PACKAGES[tool])
    console.log(`ensure-tools: some tests will fail; install ${names.join(', ')} (${obstacle})`)
  }
}

function findMissing(): Tool[] {
  return wanted.filter((tool) => findTool(tool) === undefined)
}

function findObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may do that'
  if (spawnSync('apt-get', ['--version']).status !== 0) return 'there is no apt-get here'
  return undefined
}

/** Gives what went wrong, or undefined. */
function installPackages(packages: readonly string[]): string | undefined {
  const ownPolicy = !existsSync(POLICY)
  try {
    if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
    runAptGet(['update'])
    runAptGet(['install', '-y', '--no-install-recommends', ...packages])
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0]
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true })
  }
  return findMissing().length === 0 ? undefined : 'apt-get did not bring them'
}

function runAptGet(args: readonly string[]): void {
  execFileSync('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: APT_GET_TIMEOUT_MS,
  })
}
