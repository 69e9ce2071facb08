/** Clients that fetch JSON and parse it, as programs that call an API do. */
import axios from 'axios'
import got from 'got'
import ky from 'ky'
import { HttpClient } from 'ferry/client'
import { Agent, fetch as undiciFetch, request } from 'undici'
import type { ClientTask } from './request-clients.ts'

/** What was fetched, parsed, and how long its text was. */
export interface ParsedContent {
  readonly byteLength: number
  readonly value: unknown
}

interface Document {
  readonly id: number
  readonly text: string
}

const EMPTY_BYTES = JSON.stringify({ id: 1, text: '' }).length

type FetchJson = () => Promise<ParsedContent>

export const JSON_CLIENTS = {
  'ferry HttpClient, JSON': useFerryJson,
  'undici.request, JSON': useUndiciJson,
  'undici fetch, JSON': useUndiciFetch,
  'Node fetch, JSON': useNodeFetch,
  'got, JSON': useGot,
  'ky, JSON': useKy,
  'axios, JSON': useAxios,
} as const satisfies Record<string, (task: ClientTask) => FetchJson>

function useFerryJson({ url, connections }: ClientTask): FetchJson {
  const client = new HttpClient({ maxConnectionsPerOrigin: connections, http2: 'off' })
  return async () => parsed(await client.get<Document>(url))
}

function useUndiciJson({ url, connections }: ClientTask): FetchJson {
  const dispatcher = new Agent({ connections, allowH2: false })
  return async () => {
    const { body } = await request(url, { dispatcher })
    return parsed((await body.json()) as Document)
  }
}

function useUndiciFetch({ url, connections }: ClientTask): FetchJson {
  const dispatcher = new Agent({ connections, allowH2: false })
  return async () => {
    const response = await undiciFetch(url, { dispatcher })
    return parsed((await response.json()) as Document)
  }
}

function useNodeFetch({ url }: ClientTask): FetchJson {
  return async () => {
    const response = await fetch(url)
    return parsed((await response.json()) as Document)
  }
}

function useGot({ url }: ClientTask): FetchJson {
  return async () => parsed(await got(url).json<Document>())
}

function useKy({ url }: ClientTask): FetchJson {
  return async () => parsed(await ky(url).json<Document>())
}

function useAxios({ url }: ClientTask): FetchJson {
  return async () => parsed((await axios.get<Document>(url)).data)
}

function parsed(value: Document): ParsedContent {
  return { byteLength: EMPTY_BYTES + value.text.length, value }
}
