/**
 * Network profiles: proxies, trust and identity out of a settings file that a company's programs share.
 *
 * Owns the file's keys, its default place, and what the environment has to say beside it. A file that
 * is there and cannot be used is an error: going on without it would go past the proxy, or without
 * the certificates, that somebody has asked for.
 */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import type { TlsOptions } from '../net/network-backend.ts'
import type { ProxyOptions } from '../net/proxy.ts'
import type { SettingsSection } from './network-settings-file.ts'
import {
  type Environment,
  noProxyFromEnvironment,
  type ProxyChooser,
  proxyFromEnvironment,
  readNoProxy,
  readProxyUrl,
} from './proxy-environment.ts'
import { buildTlsContext } from './tls-settings.ts'

/** A profile, read; `tls` and `proxy` are what a pool takes. */
export interface NetworkProfile {
  readonly name: string
  readonly description: string | undefined
  /** The file that it comes from. */
  readonly path: string
  readonly tls: TlsOptions
  /** Undefined for the straight way to everywhere. */
  readonly proxy: ProxyChooser | undefined
  /** The profile's own entries of hosts to reach straight; `proxy` keeps to them already. */
  readonly noProxy: readonly string[]
  /** What is strange in the file but harmless, a sentence each: a key that is not known. */
  readonly warnings: readonly string[]
}

/** Which profile, and whose environment. */
export interface LoadNetworkProfileOptions {
  /** @defaultValue FERRY_NETWORK_SETTINGS, else `~/.sema4ai/network-settings.yaml` */
  readonly path?: string | undefined
  /** @defaultValue `current-profile` of the file */
  readonly name?: string | undefined
  /** @defaultValue `process.env` */
  readonly env?: Environment | undefined
}

/** Names the file, instead of its default place. */
const NETWORK_SETTINGS_VARIABLE = 'FERRY_NETWORK_SETTINGS'
const FILE_NAME = 'network-settings.yaml'

/**
 * Loads a profile. Proxies that the environment names replace those of the profile, both of them;
 * NO_PROXY counts in any case. The environment changes nothing else, but for the variables of
 * `buildTlsContext()`.
 * @returns undefined when there is no file at the default place, or the file names no current profile
 * @throws {ConfigError} when the file, a file that it names, or a value cannot be used; the message
 * has the line
 */
export async function loadNetworkProfile(
  options: LoadNetworkProfileOptions = {},
): Promise<NetworkProfile | undefined> {
  const env = options.env ?? process.env
  const path = resolve(options.path ?? (env[NETWORK_SETTINGS_VARIABLE] || defaultPath(env)))
  const text = await readSettings(path, options, env)
  if (text === undefined) return undefined
  const warnings: string[] = []
  // Few programs have such a file; those without one need no YAML.
  const { parseSettingsFile } = await import('./network-settings-file.ts')
  const file = parseSettingsFile(text, { path, warnings })
  const profile = chooseProfile(file, options.name)
  if (profile === undefined) return undefined
  const tls = await readTls(profile, dirname(path), env)
  const settings = profile.section('proxy-settings')
  const noProxy = settings === undefined ? [] : readExclusions(settings)
  const proxy = readProxies(settings, { tls, noProxy, env })
  const description = profile.text('description')?.value
  const name = profile.text('name')?.value ?? ''
  profile.warnOfUnknownKeys()
  Object.freeze(noProxy)
  Object.freeze(warnings)
  return Object.freeze({ name, description, path, tls, proxy, noProxy, warnings })
}

function defaultPath(env: Environment): string {
  const { platform } = process
  if (platform !== 'win32') return join(homedir(), '.sema4ai', FILE_NAME)
  return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'sema4ai', FILE_NAME)
}

async function readSettings(
  path: string,
  options: LoadNetworkProfileOptions,
  env: Environment,
): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    const variable = env[NETWORK_SETTINGS_VARIABLE] ? NETWORK_SETTINGS_VARIABLE : undefined
    const asked = options.path === undefined ? variable : 'path'
    if (asked === undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
    throw new ConfigError(
      asked ?? 'network-settings',
      `Cannot read the network settings ${path}: ${code}`,
    )
  }
}

function chooseProfile(
  file: SettingsSection,
  asked: string | undefined,
): SettingsSection | undefined {
  // Nothing hangs on it: there is one version.
  file.text('spec-version')
  const current = file.text('current-profile')
  const profiles = file.sections('profiles')
  file.warnOfUnknownKeys()
  const name = asked ?? current?.value
  if (name === undefined) return undefined
  const found = profiles.filter((profile) => profile.text('name')?.value === name)
  const [profile, second] = found
  if (second !== undefined) {
    throw second.unusable('name', `a second profile is called ${JSON.stringify(name)}`)
  }
  if (profile !== undefined) return profile
  const names = profiles.map((each) => JSON.stringify(each.text('name')?.value ?? '')).join(', ')
  const why = `no profile is called ${JSON.stringify(name)}, there is ${names || 'none'}`
  if (asked === undefined) throw file.unusable('current-profile', why, current?.line)
  throw new ConfigError('name', `Cannot choose a network profile: ${why}`)
}

async function readTls(
  profile: SettingsSection,
  folder: string,
  env: Environment,
): Promise<TlsOptions> {
  const isVerified = profile.boolean('disable-ssl') !== true
  const ca = await readNamedFile(profile, 'ca-file', folder)
  const identity = profile.section('client-certificate')
  if (identity === undefined) return buildTlsContext({ ca, verify: isVerified }, env)
  const cert = await readNamedFile(identity, 'cert', folder)
  const key = await readNamedFile(identity, 'key', folder)
  const passphrase = readPassphrase(identity, env)
  identity.warnOfUnknownKeys()
  if (cert === undefined) throw identity.unusable('cert', 'expected the path of a PEM file')
  if (key === undefined) throw identity.unusable('key', 'expected the path of a PEM file')
  return buildTlsContext({ ca, cert, key, passphrase, verify: isVerified }, env)
}

/** Reads the file that a key names, seen from the folder of the settings. */
async function readNamedFile(
  section: SettingsSection,
  key: string,
  folder: string,
): Promise<string | undefined> {
  const setting = section.text(key)
  if (setting === undefined) return undefined
  const path = resolve(folder, setting.value)
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw section.unusable(key, `cannot read ${path}: ${code}`, setting.line)
  }
}

function readPassphrase(identity: SettingsSection, env: Environment): string | undefined {
  const variable = identity.text('passphrase-env')
  if (variable === undefined) return undefined
  const passphrase = env[variable.value]
  if (passphrase !== undefined) return passphrase
  const why = `the environment has no variable ${variable.value}`
  throw identity.unusable('passphrase-env', why, variable.line)
}

function readExclusions(settings: SettingsSection): string[] {
  const entries = settings.texts('no-proxy')
  for (const { value, line } of entries) {
    readNoProxy(value, settings.nameOf('no-proxy'), settings.placeOf('no-proxy', line))
  }
  return entries.flatMap(({ value }) => value.split(/[\s,]+/)).filter((entry) => entry !== '')
}

function readProxies(
  settings: SettingsSection | undefined,
  { tls, noProxy, env }: { tls: TlsOptions; noProxy: readonly string[]; env: Environment },
): ProxyChooser | undefined {
  const proxies = {
    http: readProxy(settings, 'http-proxy', tls),
    https: readProxy(settings, 'https-proxy', tls),
  }
  checkAuthentication(settings, tls)
  settings?.warnOfUnknownKeys()
  const ofEnvironment = proxyFromEnvironment(env)
  if (ofEnvironment !== undefined) return ofEnvironment
  if (proxies.http === undefined && proxies.https === undefined) return undefined
  const own = readNoProxy(noProxy.join(','), 'no-proxy')
  const further = noProxyFromEnvironment(env)
  return ({ scheme, host, port }) => {
    const isExcluded = own.excludes(host, port) || further?.excludes(host, port) === true
    return isExcluded ? undefined : proxies[scheme]
  }
}

/** What holds for servers holds for an https proxy too: trust and identity are the company's. */
function readProxy(
  settings: SettingsSection | undefined,
  key: string,
  tls: TlsOptions,
): ProxyOptions | undefined {
  const [first, second] = settings?.texts(key) ?? []
  if (settings === undefined || first === undefined) return undefined
  if (second !== undefined) {
    settings.warn(`only the first of several proxies of ${key} is used`, second.line)
  }
  const place = settings.placeOf(key, first.line)
  return { url: readProxyUrl(first.value, settings.nameOf(key), place), tls }
}

/** Says no to what we cannot do, rather than ask a proxy without what it wants. */
function checkAuthentication(settings: SettingsSection | undefined, tls: TlsOptions): void {
  const authentication = settings?.section('authentication')
  const type = authentication?.text('auth-type')
  if (authentication === undefined || type === undefined) return
  const expected = 'expected none, or user and password in the URL of the proxy'
  switch (type.value) {
    case 'none':
      break
    case 'os-certificate':
      if (tls.cert === undefined) {
        const why =
          'no certificate of the operating system is shown; name one in client-certificate'
        authentication.warn(why, type.line)
      }
      break
    case 'oauth':
      throw authentication.unusable('auth-type', `oauth is not supported: ${expected}`, type.line)
    default:
      throw authentication.unusable('auth-type', expected, type.line)
  }
  for (const key of OAUTH_KEYS) authentication.text(key)
  authentication.section('other-oauth-params')
  authentication.warnOfUnknownKeys()
}

/** Known, and of no use without oauth. */
const OAUTH_KEYS = ['oauth-token-url', 'oauth-client-id', 'oauth-client-secret']
