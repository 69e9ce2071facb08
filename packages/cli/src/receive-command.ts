/** `ferry receive`: runs an upload server until it is told to stop, and tells what comes. */
import { existsSync, unwatchFile, watchFile } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { constants, networkInterfaces } from 'node:os'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { ConfigError } from 'ferry/errors'
import {
  createKeyFile,
  type KeyRing,
  readKeyFile,
  reloadKeyFile,
  UploadServer,
  type UploadStatus,
} from 'ferry/receive'
import { EXIT_OK } from './exit-codes.ts'
import { makeFolder } from './make-folder.ts'
import { isTold } from './receive-book.ts'
import { describeReceiveFailure, describeServerFailure } from './receive-failure.ts'
import type { ReceiveOptions } from './receive-options.ts'
import { createReceiveReporter, type ReceiveReporter } from './receive-reporter.ts'
import { DOORS, readSettings } from './receive-settings.ts'

// The last when the terminal goes away.
const STOPPING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
// A look at the file's time; whoever changes it waits for that.
const KEY_FILE_INTERVAL_MS = 2000

/** What a run needs beside its options. */
interface ReceiveContext {
  readonly folder: string
  readonly reporter: ReceiveReporter
  /** Resolves when it is to stop. */
  readonly stopped: Promise<void>
}

/** Runs the command; resolves with the exit code when it was told to stop, or cannot run. */
export async function runReceive(options: ReceiveOptions): Promise<number> {
  const folder = resolve(options.dir)
  const choice = { json: options.json === true, quiet: options.quiet === true }
  const reporter = createReceiveReporter(choice, process, folder)
  const stopping = Promise.withResolvers<void>()
  let isStopping = false
  const stop = (signal: NodeJS.Signals): void => {
    // The second signal does not wait for the disk; its code is as shells have it.
    if (isStopping) process.exit(128 + constants.signals[signal])
    isStopping = true
    stopping.resolve()
  }
  for (const name of STOPPING_SIGNALS) process.on(name, stop)
  try {
    await receive(options, { folder, reporter, stopped: stopping.promise })
    return EXIT_OK
  } catch (error) {
    const failure = describeReceiveFailure(error as Error)
    reporter.failed(failure)
    return failure.exitCode
  } finally {
    reporter.close()
    for (const name of STOPPING_SIGNALS) process.off(name, stop)
  }
}

async function receive(
  options: ReceiveOptions,
  { folder, reporter, stopped }: ReceiveContext,
): Promise<void> {
  const { uploads, ...settings } = await readSettings(options)
  await makeFolder(folder)
  const keyFile = await prepareKeys(options.keyFile, folder)
  const server = await UploadServer.open(folder, {
    ...settings,
    keys: keyFile?.keys,
    uploads: { ...uploads, onEvent: (event) => reporter.event(event) },
    onFailure: (failure) => reporter.failed(describeServerFailure(failure)),
  })
  const unwatch = watchKeys(keyFile, reporter)
  try {
    const unfinished = unfinishedOf(server)
    const url = await server.listen({ port: options.port, host: options.host })
    reporter.begin({
      url,
      folder,
      machineAddresses: machineAddressesOf(options.host),
      doors: settings.doors ?? DOORS,
      keyFile,
      problems: server.core.problems,
      unfinished,
    })
    await stopped
    reporter.stop()
  } finally {
    unwatch()
    await server.close()
  }
  reporter.end(unfinishedOf(server))
}

/** Keys in use, and where they are from. */
interface KeyFile {
  readonly path: string
  readonly isNew: boolean
  readonly keys: KeyRing
}

/** Makes the file where there is none. */
async function prepareKeys(
  option: string | undefined,
  folder: string,
): Promise<KeyFile | undefined> {
  if (option === undefined) return undefined
  const path = resolve(option)
  if (await isBelow(folder, dirname(path))) {
    throw new ConfigError(
      'key-file',
      `Cannot use the key file ${path}: it is in the folder that uploads go to, where one could replace it`,
    )
  }
  const isNew = !existsSync(path)
  if (isNew) await createKeyFile(path)
  return { path, isNew, keys: await readKeyFile(path) }
}

async function isBelow(folder: string, path: string): Promise<boolean> {
  const real = (one: string): Promise<string> => realpath(one).catch(() => one)
  const way = relative(await real(folder), await real(path))
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** Reads the file again when it has changed; the returned function ends that. */
function watchKeys(keyFile: KeyFile | undefined, reporter: ReceiveReporter): () => void {
  if (keyFile === undefined) return () => {}
  const { path, keys } = keyFile
  const reload = async (): Promise<void> => {
    try {
      await reloadKeyFile(path, keys)
      reporter.note(`Read the keys of ${path} again`)
    } catch (error) {
      const { code, message } = describeServerFailure(error)
      reporter.failed({ code, message: `${message}; the keys stay as they were` })
    }
  }
  const onChange = (): void => void reload()
  watchFile(path, { persistent: false, interval: KEY_FILE_INTERVAL_MS }, onChange)
  return () => unwatchFile(path, onChange)
}

/** Under which others reach it, where it listens on all of them. */
function machineAddressesOf(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return []
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, family }) => !internal && (host === '::' || family === 'IPv4'))
    .map(({ address }) => address)
}

function unfinishedOf({ core }: UploadServer): UploadStatus[] {
  return [...core.list()].filter((upload) => upload.state === 'unfinished' && isTold(upload))
}
