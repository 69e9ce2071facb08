/**
 * A page that sends, for tests that drive it from outside. The same script runs in a worker of the page,
 * which is called by messages.
 */
import {
  BufferedUploadError,
  type BrowserUploadOptions,
  upload,
  UploadClient,
} from '../../packages/ferry/src/upload/browser/index.ts'
import { numberedBytes, numberedPieces } from './numbered-bytes.ts'
import type { PageClient, PageOutcome, PageResult, SendingPage } from './sending-page-calls.ts'

interface WorkerEnd {
  onmessage: ((message: { readonly data: unknown }) => void) | null
  postMessage(data: unknown): void
}

let client = new UploadClient()
let worker: WorkerEnd | undefined
const events: string[] = []
const acknowledged: Record<string, number> = {}
const completed: PageResult[] = []
const errors: string[] = []

const calls: SendingPage = {
  open({ files, ...options }) {
    client = new UploadClient({
      ...settingsOf(options),
      files,
      onEvent: (_, event) => {
        const { type, ...facts } = event as {
          readonly type: string
          readonly [fact: string]: unknown
        }
        const word = facts['reason'] ?? facts['state'] ?? facts['protocol']
        events.push(typeof word === 'string' ? `${type} ${word}` : type)
      },
      onProgress: (name, { acknowledgedBytes }) => (acknowledged[name] = acknowledgedBytes),
      onComplete: (name, result) => completed.push({ ...resultOf(result), name }),
      onError: (name, error) => errors.push(`${name} ${(error as { code: string }).code}`),
    })
  },
  add: (files) =>
    settle(async () => {
      const ids: string[] = []
      for (const { name, size, isStream } of files) {
        const item =
          isStream === true
            ? await client.addStream(numberedPieces(size), name)
            : await client.addFile(new File([numberedBytes(size)], name))
        ids.push(item.id)
      }
      return ids
    }),
  addChosen: () => settle(async () => (await client.addFile(chosenFile())).id),
  uploadChosen: (url, options) =>
    settle(async () => resultOf(await upload(chosenFile(), url, settingsOf(options)).result)),
  send: (url) => settle(() => client.uploadBufferedFiles(url)),
  upload: (url, size, options) =>
    settle(async () => {
      const file = new File([numberedBytes(size)], 'direct.bin')
      return resultOf(await upload(file, url, settingsOf(options)).result)
    }),
  start: (url) => client.startUploadBackground(url, { checkInterval: 200 }),
  stop: () => settle(() => client.stopUploadBackground()),
  pause: () => client.pause(),
  resume: () => client.resume(),
  cancel: () => client.cancel(),
  limit: (bytesPerSecond) => {
    client.limitBytesPerSecond = bytesPerSecond
  },
  remove: (id) => settle(() => client.removeFile(id)),
  list: () => client.getBufferedFiles(),
  report: () => ({ events, acknowledged, completed, errors }),
  inWorker: (name, ...args) =>
    new Promise((resolve) => {
      const { Worker } = globalThis as unknown as {
        readonly Worker: new (url: string, options: { type: 'module' }) => WorkerEnd
      }
      worker ??= new Worker('/page.js', { type: 'module' })
      worker.onmessage = ({ data }) => resolve(data)
      worker.postMessage([name, args])
    }),
}

if ('document' in globalThis) Object.assign(globalThis, { sendingPage: calls })
else {
  const scope = globalThis as unknown as WorkerEnd
  scope.onmessage = ({ data }) => {
    const [name, args] = data as [keyof SendingPage, never[]]
    const call = calls[name] as (...all: never[]) => unknown
    void Promise.resolve(call(...args)).then((value) => scope.postMessage(value))
  }
}

function settingsOf({ keys, ...options }: Omit<PageClient, 'files'>): BrowserUploadOptions {
  if (keys === undefined) return options
  let given = 0
  return {
    ...options,
    credentials: ({ refused }) => {
      if (refused) given = Math.min(given + 1, keys.length - 1)
      return { Authorization: `Bearer ${keys[given] ?? ''}` }
    },
  }
}

function chosenFile(): File {
  const { document } = globalThis as unknown as {
    readonly document: { querySelector(name: 'input'): { readonly files: readonly File[] } }
  }
  return document.querySelector('input').files[0] as File
}

function resultOf({ name, protocol, resumedBytes, transmittedBytes }: PageResult): PageResult {
  return { name, protocol, resumedBytes, transmittedBytes }
}

/** Errors lose their code on the way out of a page. */
async function settle<Value>(work: () => Promise<Value>): Promise<PageOutcome<Value>> {
  try {
    return { value: await work() }
  } catch (error) {
    const { code, name, message } = error as {
      code?: string | number
      name: string
      message: string
    }
    const words =
      error instanceof BufferedUploadError ? String((error.cause as Error).message) : message
    return { code: typeof code === 'string' ? code : name, message: words }
  }
}
