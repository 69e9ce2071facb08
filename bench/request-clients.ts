/** The HTTP clients that are compared: each makes one GET and takes the whole content. */
import { Agent as HttpAgent, get as getPlain, type RequestOptions } from 'node:http'
import { Agent as HttpsAgent, get as getSecure } from 'node:https'
import { HttpClient } from 'ferry/client'
import { ConnectionPool, type ConnectionPoolOptions, HttpRequest } from 'ferry/transport'
import { Agent, Pool, request } from 'undici'
import { type Content, FerryCollector, joinChunks, UndiciCollector } from './collect-handlers.ts'

/** What a client is to fetch, and over how many connections. */
export interface ClientTask {
  readonly url: string
  readonly connections: number
  /** The certificate to trust, PEM; undefined without TLS. */
  readonly ca: string | undefined
}

/** Fetches once. */
export type FetchOnce = () => Promise<Content>

const CLIENTS = {
  'ferry dispatch': useFerryDispatch,
  'ferry dispatch, traced': useTracedDispatch,
  'ferry transport': useFerryTransport,
  'ferry HttpClient': useFerryClient,
  'undici.request': useUndiciRequest,
  'undici dispatch': useUndiciDispatch,
  'node:http': useNodeHttp,
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
    const { body } = await client.request('GET', task.url)
    return body.bytes()
  }
}

function useUndiciRequest({ url, connections, ca }: ClientTask): FetchOnce {
  const dispatcher = new Agent({ connections, ...undiciTls(ca) })
  return async () => {
    const { body } = await request(url, { dispatcher })
    return body.arrayBuffer()
  }
}

function useUndiciDispatch({ url, connections, ca }: ClientTask): FetchOnce {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections, ...undiciTls(ca) })
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

function ferryOptions({ connections, ca }: ClientTask): ConnectionPoolOptions {
  return { maxConnectionsPerOrigin: connections, tls: ca === undefined ? {} : { ca } }
}

function undiciTls(ca: string | undefined): { connect?: { ca: string } } {
  return ca === undefined ? {} : { connect: { ca } }
}
