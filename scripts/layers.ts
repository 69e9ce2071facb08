/**
 * The layers of packages/ferry/src, in one table.
 *
 * `scripts/check-layers.ts` holds every import against it and keeps the copy in ARCHITECTURE.md
 * equal to it. A layer is a folder, or a file at the top of src; tests follow the rules of the
 * folder they stand in, except that they may import testing.
 */

export interface Layer {
  readonly name: string
  /** What the layer is for, in one line. */
  readonly owns: string
  /** Layers it may import, besides itself. */
  readonly mayImport: readonly string[] | 'every layer'
  /** Modules from outside src that it may import. */
  readonly outside: 'nothing' | 'node:' | 'anything'
  /** Modules that it may not import although `outside` allows them. */
  readonly except: readonly string[]
  /** What else it may not do, as the table in ARCHITECTURE.md says it. */
  readonly never: string
}

const FOUNDATION = ['errors', 'clock']
const UP_TO_PROTOCOL = [...FOUNDATION, 'protocol']
const UP_TO_NET = [...UP_TO_PROTOCOL, 'net']
const UP_TO_TRANSPORT = [...UP_TO_NET, 'transport']
const UP_TO_TRANSFER = [...UP_TO_TRANSPORT, 'client', 'transfer']

/** Lowest first. */
export const LAYERS: readonly Layer[] = [
  {
    name: 'errors',
    owns: 'the error tree',
    mayImport: [],
    outside: 'nothing',
    except: [],
    never: '',
  },
  {
    name: 'clock',
    owns: 'time as a port, and waiting',
    mayImport: ['errors'],
    outside: 'node:',
    except: [],
    never: '',
  },
  {
    name: 'protocol',
    owns: 'codecs and grammar, from bytes to events and back',
    mayImport: ['errors'],
    outside: 'nothing',
    except: [],
    never: 'await, read a clock, set a timer, draw randomness',
  },
  {
    name: 'net',
    owns: 'byte streams to a host: tcp, tls, name look-up, tunnels',
    mayImport: UP_TO_PROTOCOL,
    outside: 'anything',
    except: [],
    never: 'carry a request',
  },
  {
    name: 'transport',
    owns: 'requests, responses, connections and their pool',
    mayImport: UP_TO_NET,
    outside: 'anything',
    except: [],
    never: 'retry (but for stale connections and event streams), follow a redirect, decode content',
  },
  {
    name: 'client',
    owns: 'redirects, retries, cookies, decompression, formats',
    mayImport: UP_TO_TRANSPORT,
    outside: 'anything',
    except: ['node:net', 'node:tls'],
    never: 'open a socket',
  },
  {
    name: 'transfer',
    owns: 'what both directions share: state, progress, spans, journal, digests',
    mayImport: FOUNDATION,
    outside: 'anything',
    except: [],
    never: 'speak HTTP',
  },
  {
    name: 'download',
    owns: 'planner, workers, resume record, file sink',
    mayImport: UP_TO_TRANSFER,
    outside: 'anything',
    except: [],
    never: '',
  },
  {
    name: 'upload',
    owns: 'outbox, part reader, upload protocols',
    mayImport: UP_TO_TRANSFER,
    outside: 'anything',
    except: [],
    never: '',
  },
  {
    name: 'receive',
    owns: 'the server side of an upload: core, stores, front doors',
    mayImport: UP_TO_TRANSFER,
    outside: 'anything',
    except: [],
    never: '',
  },
  {
    name: 'rpc',
    owns: 'message shapes and the client of the daemon',
    mayImport: UP_TO_TRANSFER,
    outside: 'anything',
    except: [],
    never: 'know an engine',
  },
  {
    name: 'testing',
    owns: 'servers, backends and clocks for tests; imported by tests only',
    mayImport: 'every layer',
    outside: 'anything',
    except: [],
    never: '',
  },
]

/** Globals that would make what a codec does depend on when it runs, or on luck. */
export const FORBIDDEN_IN_PROTOCOL: readonly string[] = [
  'Date.now',
  'Math.random',
  'performance.now',
  'queueMicrotask',
  'setImmediate',
  'setInterval',
  'setTimeout',
]

/** Entries that run in browsers: nothing that they load may be of Node, however far away. */
export const BROWSER_ENTRIES: readonly string[] = ['upload/browser/index.ts']

/** Packages that run in browsers as well. */
export const BROWSER_PACKAGES: readonly string[] = ['hash-wasm']

/** Globals of Node; a file that asks `typeof` may use them. */
export const NODE_GLOBALS: readonly string[] = ['Buffer', 'process', 'require', 'setImmediate']

/** Gives the table as ARCHITECTURE.md shows it. */
export function formatLayers(layers: readonly Layer[] = LAYERS): string {
  const rows = layers.map((layer) => {
    const cells = [`\`${layer.name}\``, layer.owns, formatMayImport(layer), formatNever(layer)]
    return `| ${cells.join(' | ')} |`
  })
  return ['| layer | owns | may import | may not |', '|---|---|---|---|', ...rows].join('\n')
}

function formatMayImport(layer: Layer): string {
  if (layer.mayImport === 'every layer') return 'every layer'
  return layer.mayImport.join(', ') || '–'
}

function formatNever(layer: Layer): string {
  const outside = {
    nothing: 'import `node:*` or a package',
    'node:': 'import a package',
    anything: '',
  }
  const except = layer.except.map((module) => `\`${module}\``).join(', ')
  const parts = [outside[layer.outside], except && `import ${except}`, layer.never]
  return parts.filter((part) => part !== '').join('; ') || '–'
}
