/** The HTTP clients that are compared: each makes one GET and takes the whole content. */
import { Agent as HttpAgent, get as getPlain, type RequestOptions } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Agent as HttpsAgent, get as getSecure } from 'node:https'
import { HttpClient } from 'ferry/client'
import { ConnectionPool, type ConnectionPoolOptions, HttpRequest } from 'ferry/transport'
import { Agent, Client, type Dispatcher, Pool, request } from 'undici'
import { JSON_CLIENTS, type ParsedContent } from './json-clients.ts'
import { type Content, FerryCollector, joinChunks, UndiciCollector } from './collect-handlers.ts'

/** What a client is to fetch, and over how many connections. */
export interface ClientTask {
  readonly url: string
  readonly connections: number
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** Requests at once on each connection: 1 in HTTP/1.1. */
  readonly streams: number
  /** The certificate to trust, PEM; undefined without TLS. */
  readonly ca: string | undefined
}

/** Fetches once. */
export type FetchOnce = () => Promise<Content | ParsedContent>

const CLIENTS = {
  'ferry dispatch': useFerryDispatch,
  'ferry dispatch, traced': useTracedDispatch,
  'ferry transport': useFerryTransport,
  'ferry HttpClient': useFerryClient,
  'undici.request': useUndiciRequest,
  'undici dispatch': useUndiciDispatch,
  'node:http': useNodeHttp,
  'node:http2': useNodeHttp2,
  ...JSON_CLIENTS,
} as const satisfies Record<string, (task: ClientTask) => FetchOnce>

export type ClientName = keyof typeof CLIENTS

/** Makes a client ready. @throws {Error} when there is none of that name */
export function createClient(name: string, task: ClientTask): FetchOnce {
  if (!Object.hasOwn(CLIENTS, name)) throw new Error(`Cannot measure ${name}: no such client`)
  return CLIENTS[name as ClientName](task)
}

function useFerryDispatch(task: ClientTask): FetchOnce {
  return dispatchOn(new ConnectionPool(ferryOptions(task)), task)
}

/** The listener does next to nothing, so that what is measured is the telling. */
function useTracedDispatch(task: ClientTask): FetchOnce {
  let events = 0
  const trace = (): void => void events++
  const pool = new ConnectionPool({ ...ferryOptions(task), trace })
  const fetchOnce = dispatchOn(pool, task)
  return async () => {
    const content = await fetchOnce()
    if (events === 0) throw new Error('Cannot measure the trace: nothing was told')
    return content
  }
}

function dispatchOn(pool: ConnectionPool, task: ClientTask): FetchOnce {
  const wanted = new HttpRequest('GET', task.url)
  return () =>
    new Promise((resolve, reject) => {
      pool.dispatch(wanted, new FerryCollector({ resolve, reject }))
    })
}

function useFerryTransport(task: ClientTask): FetchOnce {
  const pool = new ConnectionPool(ferryOptions(task))
  const wanted = new HttpRequest('GET', task.url)
  return async () => {
    const { body } = await pool.request(wanted)
    return body.bytes()
  }
}

function useFerryClient(task: ClientTask): FetchOnce {
  const client = new HttpClient(ferryOptions(task))
  return async () => {
    return client.get(task.url, { responseFormat: 'bytes' })
  }
}

function useUndiciRequest(task: ClientTask): FetchOnce {
  const { url, connections, protocol, ca } = task
  const dispatcher =
    protocol === 'HTTP/2'
      ? createUndiciHttp2(task)
      : new Agent({ connections, allowH2: false, ...undiciTls(ca) })
  return async () => {
    const { body } = await request(url, { dispatcher })
    return body.arrayBuffer()
  }
}

function useUndiciDispatch(task: ClientTask): FetchOnce {
  const { url, connections, protocol, ca } = task
  const { origin, pathname } = new URL(url)
  const pool =
    protocol === 'HTTP/2'
      ? createUndiciHttp2(task)
      : new Pool(origin, { connections, allowH2: false, ...undiciTls(ca) })
  return () =>
    new Promise((resolve, reject) => {
      pool.dispatch({ path: pathname, method: 'GET' }, new UndiciCollector({ resolve, reject }))
    })
}

function useNodeHttp({ url, connections, ca }: ClientTask): FetchOnce {
  const kept = { keepAlive: true, maxSockets: connections }
  const agent = ca === undefined ? new HttpAgent(kept) : new HttpsAgent({ ...kept, ca })
  const get = ca === undefined ? getPlain : getSecure
  const options: RequestOptions = { agent }
  return () =>
    new Promise((resolve, reject) => {
      const sent = get(url, options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve(joinChunks(chunks)))
        response.on('error', reject)
      })
      sent.on('error', reject)
    })
}

/** One session; as many streams as there are requests. */
function useNodeHttp2({ url, connections, ca }: ClientTask): FetchOnce {
  if (connections !== 1) throw new Error('Cannot measure node:http2: it has one connection')
  const { origin, pathname } = new URL(url)
  const session = connectHttp2(origin, ca === undefined ? {} : { ca })
  return () =>
    new Promise((resolve, reject) => {
      const sent = session.request({ ':path': pathname })
      const chunks: Buffer[] = []
      sent.on('data', (chunk: Buffer) => chunks.push(chunk))
      sent.on('end', () => resolve(joinChunks(chunks)))
      sent.on('error', reject)
    })
}

function ferryOptions({ connections, protocol, ca }: ClientTask): ConnectionPoolOptions {
  return {
    maxConnectionsPerOrigin: connections,
    tls: ca === undefined ? {} : { ca },
    http2: protocol === 'HTTP/1.1' ? 'off' : ca === undefined ? 'prior-knowledge' : 'alpn',
  }
}

/** One connection, by undici's Client: a Pool would open more of them. */
function createUndiciHttp2({ url, connections, streams, ca }: ClientTask): Dispatcher {
  if (connections !== 1) throw new Error('Cannot measure undici over HTTP/2: it has one connection')
  const h2Options = { useH2c: ca === undefined, maxConcurrentStreams: streams }
  return new Client(new URL(url).origin, { allowH2: true, h2Options, ...undiciTls(ca) })
}

function undiciTls(ca: string | undefined): { connect?: { ca: string } } {
  return ca === undefined ? {} : { connect: { ca } }
}
