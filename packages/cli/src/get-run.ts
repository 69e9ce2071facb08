/**
 * Runs the downloads of one command, several at once. Two of them never write one file: whoever comes
 * second waits for the first to end, and then finds its file there, like any other that was there.
 */
import { basename, resolve } from 'node:path'
import type { HttpClient } from 'ferry/client'
import {
  type Download,
  type DownloadResult,
  download,
  type HostLimits,
  type RateLimit,
} from 'ferry/download'
import { ConfigError, TransferError } from 'ferry/errors'
import { EXIT_OK } from './exit-codes.ts'
import type { Interruption } from './fetch-failure.ts'
import type { GetClients } from './get-clients.ts'
import { describeFailure } from './get-failure.ts'
import { existsChoiceOf, type GetItem, settingsOf } from './get-item.ts'
import type { GetOptions } from './get-options.ts'
import type { GetReporter, GetTask } from './get-task.ts'
import { makeFolder } from './make-folder.ts'
import { definedOf } from './option-values.ts'
import type { StatsRecorder } from './stats-recorder.ts'
import { fileKey, statOf, TargetClaim } from './target-claim.ts'

type Field = readonly [name: string, value: string]

/** What the downloads of a run share. */
export interface GetRunContext {
  readonly clients: GetClients
  readonly reporter: GetReporter
  readonly stats: StatsRecorder | undefined
  readonly signal: AbortSignal
  /** Fields of every request. */
  readonly headers: readonly Field[]
  readonly limit: RateLimit | undefined
  readonly hosts: HostLimits
}

/** Another download of this run is writing the file. */
class Taken extends Error {
  readonly until: Promise<unknown>

  constructor(until: Promise<unknown>) {
    super('taken')
    this.until = until
  }
}

/** The downloads of one command. */
export class GetRun {
  readonly #options: GetOptions
  readonly #context: GetRunContext
  /** Who writes what, by `keyOf` its path. */
  readonly #writing = new Map<string, Promise<unknown>>()
  /** What files have become of this run, by `fileKey`. */
  readonly #made = new Set<string>()

  constructor(options: GetOptions, context: GetRunContext) {
    this.#options = options
    this.#context = context
  }

  /** Resolves with the exit code: of an interruption, else of the first of the items that failed. */
  async getAll(items: readonly GetItem[]): Promise<number> {
    const { signal, reporter } = this.#context
    const codes: number[] = []
    let next = 0
    reporter.begin(items.length)
    const getNext = async (): Promise<void> => {
      while (next < items.length && !signal.aborted) {
        const index = next++
        codes[index] = await this.#getOne(items[index] as GetItem, index + 1)
      }
    }
    const { parallel } = this.#options
    await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, getNext))
    if (signal.aborted) {
      if (next < items.length) reporter.note(`${countFiles(items.length - next)} had not begun`)
      return (signal.reason as Interruption).exitCode
    }
    return codes.find((code) => code !== EXIT_OK) ?? EXIT_OK
  }

  async #getOne(given: GetItem, number: number): Promise<number> {
    const { reporter, clients } = this.#context
    const shown: { task?: GetTask } = {}
    try {
      if (given.folder !== undefined) await makeFolder(given.folder)
      const client = clients.clientFor(given.trusted, given.network)
      const item = await this.#withMirrors(given, client)
      const onTask = (task: GetTask): void => {
        shown.task = task
      }
      const result = await this.#fetch(item, { number, client, onTask })
      reporter.completed(shown.task as GetTask, result)
      return EXIT_OK
    } catch (error) {
      const failure = describeFailure(error as Error, shown.task?.download)
      reporter.failed(failure, number)
      return failure.exitCode
    }
  }

  async #withMirrors(item: GetItem, client: HttpClient): Promise<GetItem> {
    if (this.#options.findMirrors !== true) return item
    const { clients, headers, reporter, signal } = this.#context
    const { findMirrors } = await import('./get-mirrors.ts')
    const warn = (sentence: string): void => reporter.note(sentence)
    return findMirrors(item, { client, clients, headers, signal, warn })
  }

  /** Downloads; again where another download was writing the same file, when that has ended. */
  async #fetch(
    item: GetItem,
    as: {
      readonly number: number
      readonly client: HttpClient
      readonly onTask: (task: GetTask) => void
    },
  ): Promise<DownloadResult> {
    for (;;) {
      const stopping = new AbortController()
      const ended = Promise.withResolvers<void>()
      const place = new TargetClaim(this.#writing, ended.promise)
      try {
        return await this.#fetchOnce(item, { ...as, stopping, place })
      } catch (error) {
        if (!(stopping.signal.reason instanceof Taken)) throw error
      } finally {
        // Before it waits, so that no two wait for each other.
        place.release()
        ended.resolve()
      }
      await stopping.signal.reason.until
    }
  }

  async #fetchOnce(
    item: GetItem,
    as: {
      readonly number: number
      readonly client: HttpClient
      readonly onTask: (task: GetTask) => void
      readonly stopping: AbortController
      readonly place: TargetClaim
    },
  ): Promise<DownloadResult> {
    const { reporter, stats, headers, signal, limit, hosts } = this.#context
    const { stopping, place } = as
    const take = (path: string): void => {
      const until = place.move(path)
      if (until !== undefined) stopping.abort(new Taken(until))
      else if (this.#isMade(path)) stopping.abort(alreadyMade(path))
    }
    const [url = '', ...mirrors] = item.urls
    if (!item.isFolder) {
      checkNoFolder(item.target)
      take(item.target)
    }
    stopping.signal.throwIfAborted()
    const running: Download = download(url, item.target, {
      ...settingsOf(this.#options, { limit }),
      ...definedOf(item.settings),
      headers: mergeFields(headers, item.settings.headers ?? []),
      mirrors,
      hosts,
      client: as.client,
      signal: AbortSignal.any([signal, stopping.signal]),
      // Nothing is told before the task is made: a download begins when the caller's turn has ended.
      onEvent: (event) => {
        if (event.type === 'named') {
          take(event.path)
          // It goes no further, and so does not lock what another one is about to write.
          stopping.signal.throwIfAborted()
        }
        reporter.event(task, event)
      },
    })
    const task: GetTask = {
      number: as.number,
      download: running,
      get isNamed() {
        return !item.isFolder || running.target !== resolve(item.target)
      },
      get name() {
        return this.isNamed ? basename(running.target) : item.name
      },
    }
    as.onTask(task)
    reporter.start(task)
    stats?.watch(task)
    try {
      const result = await running.result
      const made = fileKey(result.path)
      if (made !== undefined) this.#made.add(made)
      return result
    } finally {
      stats?.end(task)
      reporter.stop(task)
    }
  }

  /** It would replace what another URL has become: by name or by what leads there. */
  #isMade(path: string): boolean {
    if (existsChoiceOf(this.#options) !== 'overwrite') return false
    const key = fileKey(path)
    return key !== undefined && this.#made.has(key)
  }
}

/** A folder would be taken for the place of a file that the server names. */
function checkNoFolder(path: string): void {
  if (statOf(path)?.isDirectory() !== true) return
  throw new TransferError('not-writable', `Cannot write ${path}: it is a folder`)
}

function alreadyMade(path: string): ConfigError {
  return new ConfigError(
    'url',
    `Cannot write ${path}: it is the file that another URL has become in this run`,
  )
}

/** Those of one file go before those of all. */
function mergeFields(ofAll: readonly Field[], ofOne: readonly Field[]): Field[] {
  const names = new Set(ofOne.map(([name]) => name.toLowerCase()))
  return [...ofAll.filter(([name]) => !names.has(name.toLowerCase())), ...ofOne]
}

function countFiles(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}
