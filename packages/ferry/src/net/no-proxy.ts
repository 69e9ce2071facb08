/**
 * Whom not to reach through a proxy: the list of NO_PROXY, read once and asked for each origin.
 *
 * There is no standard. Names, suffixes and addresses are taken as curl takes them; ports, `*.`, short
 * networks and `<local>` are what other programs know too. Pure; looks no name up.
 */
import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** A list, read. */
export interface NoProxy {
  /** Whether a host is reached straight. `host` is a name or an address; IPv6 without brackets. */
  excludes(host: string, port: number): boolean
}

/** One entry of the list. */
type Rule = (host: string, port: number) => boolean

const MAX_PORT = 65_535
// RFC 1123 §2.1, and the underscore that names of services have.
const NAME = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/
const NETWORK = /^(.+)\/(\d{1,3})$/

/**
 * Reads a list: entries with commas or spaces between them, none of them in a certain order. What is
 * no entry fits nothing; `unusable` has the first such, as it stands there.
 */
export function parseNoProxy(text: string): NoProxy & { readonly unusable: string | undefined } {
  const rules: Rule[] = []
  let unusable: string | undefined
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const rule = readEntry(entry.toLowerCase())
    if (rule === undefined) unusable ??= entry
    else rules.push(rule)
  }
  return {
    unusable,
    excludes(host, port) {
      const bare = host.toLowerCase().replace(/\.$/, '')
      return rules.some((rule) => rule(bare, port))
    },
  }
}

/** Undefined for what is no entry. */
function readEntry(entry: string): Rule | undefined {
  if (entry === '*') return () => true
  // As in Windows: names of one label, which only the local network knows.
  if (entry === '<local>') return (host) => isIP(host) === 0 && !host.includes('.')
  const network = NETWORK.exec(entry)
  if (network !== null) return readNetwork(network[1] ?? '', Number(network[2]))
  if (isIP(entry) !== 0) return readNetwork(entry)
  const { host, port } = splitPort(entry)
  const rule = port === undefined ? undefined : readHost(host)
  if (rule === undefined || port === 0) return rule
  return (name, asked) => asked === port && rule(name, asked)
}

/** The port is 0 where there is none, undefined where it is no port. */
function splitPort(entry: string): { readonly host: string; readonly port: number | undefined } {
  const at = entry.indexOf(':', entry.lastIndexOf(']') + 1)
  if (at === -1) return { host: entry, port: 0 }
  const text = entry.slice(at + 1)
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return { host: entry.slice(0, at), port: port >= 1 && port <= MAX_PORT ? port : undefined }
}

function readHost(host: string): Rule | undefined {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  // What stands in brackets is an address of IPv6 (RFC 3986 §3.2.2).
  if (bare !== host) return isIP(bare) === 6 ? readNetwork(bare) : undefined
  if (isIP(host) !== 0) return readNetwork(host)
  // `example.org`, `.example.org` and `*.example.org` all mean the domain with what is below it.
  const domain = domainToASCII(host.replace(/^\*?\./, '').replace(/\.$/, ''))
  if (!NAME.test(domain)) return undefined
  return (name) => name === domain || name.endsWith(`.${domain}`)
}

/** An address, or a network of `bits` bits; IPv4 may leave parts out that are 0: `169.254/16`. */
function readNetwork(text: string, bits?: number): Rule | undefined {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  const isShort = bits !== undefined && /^\d{1,3}(\.\d{1,3}){0,2}$/.test(bare)
  const address = isShort ? [...bare.split('.'), '0', '0', '0'].slice(0, 4).join('.') : bare
  const version = isIP(address)
  const maxBits = version === 6 ? 128 : 32
  if (version === 0 || (bits ?? maxBits) > maxBits) return undefined
  const list = new BlockList()
  list.addSubnet(address, bits ?? maxBits, version === 6 ? 'ipv6' : 'ipv4')
  return (host) => {
    const asked = isIP(host)
    return asked !== 0 && list.check(host, asked === 6 ? 'ipv6' : 'ipv4')
  }
}
