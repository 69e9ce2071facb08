/**
 * The programs that tests and benchmarks run beside our own code, and where Debian has them.
 * Tests call `requireTool`; `scripts/ensure-tools.ts` installs what is missing beforehand.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Program → Debian package that brings it. */
export const DEBIAN_PACKAGES = {
  nginx: 'nginx-light',
  curl: 'curl',
  aria2c: 'aria2',
  openssl: 'openssl',
  wget2: 'wget2',
  axel: 'axel',
  time: 'time',
  python3: 'python3',
  // The programs alone: the package apache2 would bring a service and its settings.
  apache2: 'apache2-bin',
  haproxy: 'haproxy',
  caddy: 'caddy',
  // Brings lighttpd too.
  lighttpd: 'lighttpd-mod-openssl',
  // The build with OpenSSL is the one that can be an https proxy.
  squid: 'squid-openssl',
  tinyproxy: 'tinyproxy-bin',
  danted: 'dante-server',
  microsocks: 'microsocks',
  nghttpd: 'nghttp2-server',
  nghttpx: 'nghttp2-proxy',
  // Modules of python3; h2 brings hyperframe and hpack.
  'python3-h2': 'python3-h2',
  'python3-websockets': 'python3-websockets',
  'python3-tusclient': 'python3-tuspy',
  'gnutls-serv': 'gnutls-bin',
  strace: 'strace',
  chromium: 'chromium',
} as const

/** Where Debian puts modules of python3. */
const PYTHON_MODULES = '/usr/lib/python3/dist-packages'
const PYTHON_PREFIX = 'python3-'

export type Tool = keyof typeof DEBIAN_PACKAGES

/** Gives the path of a program or Python module, or undefined when it is not installed. */
export function findTool(name: Tool): string | undefined {
  if (name.startsWith(PYTHON_PREFIX)) {
    const folder = join(PYTHON_MODULES, name.slice(PYTHON_PREFIX.length))
    return existsSync(folder) ? folder : undefined
  }
  // Debian puts servers where only root's PATH looks.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin']
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/**
 * Gives the path of a program that the calling test cannot do without.
 *
 * @throws {Error} when it is not installed; the message names the Debian package.
 */
export function requireTool(name: Tool): string {
  const path = findTool(name)
  if (path !== undefined) return path
  throw new Error(`This test needs ${name}: install the Debian package ${DEBIAN_PACKAGES[name]}`)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
