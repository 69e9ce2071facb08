/** What the request benchmarks do: one row a workload, in the order of the results. */
import type { ClientName } from './request-clients.ts'

/** The most that a client may take, as a ratio to a peer's CPU time. */
export interface Goal {
  readonly client: ClientName
  readonly base: ClientName
  readonly atMost: number
}

/** Many times the same GET. */
export interface Workload {
  readonly title: string
  readonly bodyBytes: number
  readonly connections: number
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** Requests at once on each connection: 1 in HTTP/1.1. */
  readonly streams: number
  readonly tls: boolean
  /** In each run of a client. */
  readonly requests: number
  readonly warmUpRequests: number
  readonly rounds: number
  readonly clients: readonly ClientName[]
  /** Each gives columns of ratios. */
  readonly bases: readonly ClientName[]
  readonly goals: readonly Goal[]
}

const PEERS = ['undici.request', 'undici dispatch', 'node:http'] as const
const CLIENTS = ['ferry dispatch', 'ferry transport', ...PEERS] as const
const SMALL_BYTES = 707

const SMALL: Workload = {
  title: 'Small GET',
  bodyBytes: SMALL_BYTES,
  connections: 50,
  protocol: 'HTTP/1.1',
  streams: 1,
  tls: false,
  requests: 60_000,
  warmUpRequests: 5000,
  rounds: 7,
  clients: ['ferry dispatch', 'ferry transport', 'ferry HttpClient', ...PEERS],
  bases: ['undici.request', 'undici dispatch'],
  goals: [
    { client: 'ferry transport', base: 'undici.request', atMost: 0.5 },
    { client: 'ferry dispatch', base: 'undici dispatch', atMost: 0.7 },
  ],
}

const SMALL_HTTP2: Workload = {
  ...SMALL,
  connections: 1,
  protocol: 'HTTP/2',
  streams: 50,
  clients: ['ferry dispatch', 'ferry transport', 'node:http2', 'undici.request', 'undici dispatch'],
  bases: ['node:http2', 'undici.request'],
  goals: [
    { client: 'ferry transport', base: 'node:http2', atMost: 0.5 },
    { client: 'ferry transport', base: 'undici.request', atMost: 0.3 },
  ],
}

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  small: SMALL,
  sequential: {
    ...SMALL,
    title: 'Small GET, one after another',
    connections: 1,
    requests: 20_000,
    clients: CLIENTS,
    goals: [
      { client: 'ferry transport', base: 'undici.request', atMost: 0.6 },
      { client: 'ferry dispatch', base: 'undici.request', atMost: 0.6 },
    ],
  },
  bodies: {
    ...SMALL,
    title: 'GET of 64 KiB',
    bodyBytes: 65_536,
    requests: 15_000,
    warmUpRequests: 3000,
    clients: CLIENTS,
    goals: [
      { client: 'ferry transport', base: 'undici.request', atMost: 0.5 },
      { client: 'ferry dispatch', base: 'undici.request', atMost: 0.5 },
    ],
  },
  'small-tls': {
    ...SMALL,
    title: 'Small GET over TLS',
    tls: true,
    requests: 30_000,
    clients: CLIENTS,
    goals: [
      { client: 'ferry transport', base: 'undici.request', atMost: 0.7 },
      { client: 'ferry dispatch', base: 'undici.request', atMost: 0.7 },
    ],
  },
  'h2-small': SMALL_HTTP2,
  'h2-small-tls': { ...SMALL_HTTP2, title: 'Small GET over TLS', tls: true, requests: 30_000 },
  json: {
    ...SMALL,
    title: 'Small GET of JSON, parsed',
    requests: 20_000,
    clients: [
      'ferry HttpClient, JSON',
      'undici.request, JSON',
      'undici fetch, JSON',
      'Node fetch, JSON',
      'got, JSON',
      'ky, JSON',
      'axios, JSON',
    ],
    bases: ['undici.request, JSON', 'undici fetch, JSON', 'got, JSON'],
    goals: [
      { client: 'ferry HttpClient, JSON', base: 'undici.request, JSON', atMost: 0.7 },
      { client: 'ferry HttpClient, JSON', base: 'undici fetch, JSON', atMost: 0.2 },
      { client: 'ferry HttpClient, JSON', base: 'got, JSON', atMost: 0.12 },
    ],
  },
  trace: {
    ...SMALL,
    title: 'Small GET, traced or not',
    clients: ['ferry dispatch', 'ferry dispatch, traced'],
    bases: ['ferry dispatch'],
    goals: [],
  },
}
