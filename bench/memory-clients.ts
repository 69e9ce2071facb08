/** The clients whose memory is compared: many requests at once, each with a URL of its own. */
import { Agent as HttpAgent, get } from 'node:http'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { Agent, Pool, request } from 'undici'
import { type Content, FerryCollector, joinChunks, UndiciCollector } from './collect-handlers.ts'

/** Fetches `path` of the server. */
export type FetchPath = (path: string) => Promise<Content>

// Nothing may be closed for being idle while memory is measured.
const KEPT_MS = 600_000

const CLIENTS = {
  'ferry dispatch': useFerryDispatch,
  'ferry transport': useFerryTransport,
  'undici.request': useUndiciRequest,
  'undici dispatch': useUndiciDispatch,
  'node:http': useNodeHttp,
} as const satisfies Record<string, (origin: string, connections: number) => FetchPath>

export type MemoryClientName = keyof typeof CLIENTS

/** Makes a client ready. @throws {Error} when there is none of that name */
export function createMemoryClient(name: string, origin: string, connections: number): FetchPath {
  if (!Object.hasOwn(CLIENTS, name)) throw new Error(`Cannot measure ${name}: no such client`)
  return CLIENTS[name as MemoryClientName](origin, connections)
}

function createPool(connections: number): ConnectionPool {
  return new ConnectionPool({
    maxConnections: connections,
    maxConnectionsPerOrigin: connections,
    idleTimeoutMs: KEPT_MS,
  })
}

function useFerryDispatch(origin: string, connections: number): FetchPath {
  const pool = createPool(connections)
  return (path) =>
    new Promise((resolve, reject) => {
      const wanted = new HttpRequest('GET', `${origin}${path}`)
      pool.dispatch(wanted, new FerryCollector({ resolve, reject }))
    })
}

function useFerryTransport(origin: string, connections: number): FetchPath {
  const pool = createPool(connections)
  return async (path) => {
    const { body } = await pool.request(new HttpRequest('GET', `${origin}${path}`))
    return body.bytes()
  }
}

function useUndiciRequest(origin: string, connections: number): FetchPath {
  const dispatcher = new Agent({ connections, keepAliveTimeout: KEPT_MS })
  return async (path) => {
    const { body } = await request(`${origin}${path}`, { dispatcher })
    return body.arrayBuffer()
  }
}

function useUndiciDispatch(origin: string, connections: number): FetchPath {
  const pool = new Pool(origin, { connections, keepAliveTimeout: KEPT_MS })
  return (path) =>
    new Promise((resolve, reject) => {
      pool.dispatch({ path, method: 'GET' }, new UndiciCollector({ resolve, reject }))
    })
}

function useNodeHttp(origin: string, connections: number): FetchPath {
  const agent = new HttpAgent({
    keepAlive: true,
    maxSockets: connections,
    maxFreeSockets: connections,
  })
  return (path) =>
    new Promise((resolve, reject) => {
      const sent = get(`${origin}${path}`, { agent }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve(joinChunks(chunks)))
        response.on('error', reject)
      })
      sent.on('error', reject)
    })
}
