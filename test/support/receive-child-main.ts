/**
 * An upload server on a folder, as a process: `receive-child-main.ts FOLDER OPTIONS`, the options as
 * JSON. Prints one line when it listens; ends at SIGTERM as a server does that is closed, with one more.
 */
import { type AckLevel, type UploadLimits, UploadServer } from 'ferry/receive'

/** What it is told. */
export interface ChildOptions {
  readonly ack?: AckLevel
  readonly limits?: UploadLimits
  readonly checkpointMs?: number
  /** How wrong its clock is, in milliseconds. */
  readonly skewMs?: number
  readonly headersTimeoutMs?: number
  /** @defaultValue one that is free */
  readonly port?: number
}

/** What it says when it listens. */
export interface ChildGreeting {
  readonly port: number
  /** What its start has found that it could not use. */
  readonly problems: readonly string[]
}

/** What it says at its end. */
export interface ChildFarewell {
  /** Failures that were its own and not a client's. */
  readonly failures: readonly string[]
}

const [folder = '', text = '{}'] = process.argv.slice(2)
const options = JSON.parse(text) as ChildOptions
const { skewMs = 0, headersTimeoutMs = 10_000, port: wanted = 0, ...uploads } = options
const now = (): number => Date.now() + skewMs
const failures: string[] = []
const server = await UploadServer.open(folder, {
  uploads: { ...uploads, now },
  headersTimeoutMs,
  tus: { now },
  ietf: { now },
  onFailure: (failure) => failures.push(String(failure)),
})
const port = Number(new URL(await server.listen({ port: wanted })).port)
const problems = server.core.problems.map(({ type, name }) => `${type} ${name}`)
say({ port, problems } satisfies ChildGreeting)
process.once('SIGTERM', () => {
  void server.close().then(() => say({ failures } satisfies ChildFarewell))
})

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
