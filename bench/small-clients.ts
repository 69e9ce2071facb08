/** The HTTP clients that are compared: each makes one GET and takes the whole body. */
import { Agent as NodeAgent, get } from 'node:http'
import { HttpClient } from 'ferry/client'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { Agent, Pool, request } from 'undici'

/** Fetches once; gives how many bytes of content came. */
export type FetchOnce = () => Promise<number>

export const CONNECTIONS = 50

const CLIENTS = {
  'ferry transport': useFerryTransport,
  'ferry HttpClient': useFerryClient,
  'undici.request': useUndiciRequest,
  'undici dispatch': useUndiciDispatch,
  'node:http': useNodeHttp,
} as const satisfies Record<string, (url: string) => FetchOnce>

export type ClientName = keyof typeof CLIENTS

export const CLIENT_NAMES = Object.keys(CLIENTS) as readonly ClientName[]

/** Makes a client ready. @throws {Error} when there is none of that name */
export function createClient(name: string, url: string): FetchOnce {
  if (!Object.hasOwn(CLIENTS, name)) throw new Error(`Cannot measure ${name}: no such client`)
  return CLIENTS[name as ClientName](url)
}

function useFerryTransport(url: string): FetchOnce {
  const pool = new ConnectionPool({ maxConnectionsPerOrigin: CONNECTIONS })
  const wanted = new HttpRequest('GET', url)
  return async () => {
    const { body } = await pool.request(wanted)
    return (await body.bytes()).length
  }
}

function useFerryClient(url: string): FetchOnce {
  const client = new HttpClient({ maxConnectionsPerOrigin: CONNECTIONS })
  return async () => {
    const { body } = await client.request('GET', url)
    return (await body.bytes()).length
  }
}

function useUndiciRequest(url: string): FetchOnce {
  const dispatcher = new Agent({ connections: CONNECTIONS })
  return async () => {
    const { body } = await request(url, { dispatcher })
    return (await body.arrayBuffer()).byteLength
  }
}

function useUndiciDispatch(url: string): FetchOnce {
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: CONNECTIONS })
  return () =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      pool.dispatch(
        { path: pathname, method: 'GET' },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData: (_, chunk) => void chunks.push(chunk),
          onResponseEnd: () => resolve(Buffer.concat(chunks).length),
          onResponseError: (_, error) => reject(error),
        },
      )
    })
}

function useNodeHttp(url: string): FetchOnce {
  const agent = new NodeAgent({ keepAlive: true, maxSockets: CONNECTIONS })
  return () =>
    new Promise((resolve, reject) => {
      const sent = get(url, { agent }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve(Buffer.concat(chunks).length))
        response.on('error', reject)
      })
      sent.on('error', reject)
    })
}
