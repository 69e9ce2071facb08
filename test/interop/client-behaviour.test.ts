/**
 * What clients make of trouble, side by side. Only Ferry's outcome is asserted; with FERRY_WRITE=1 all
 * are written to docs/client-behaviour.md.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import workspace from '../../package.json' with { type: 'json' }
import {
  type BehaviourClient,
  codeOf,
  type Column,
  type ColumnName,
  COLUMNS,
  type Reply,
} from '../support/behaviour-clients.ts'
import { CountingServer } from '../support/counting-server.ts'
import { DeadAddress } from '../support/dead-address.ts'
import {
  BEHAVIOUR_ROWS,
  type BehaviourRow,
  openBomb,
  type Stage,
} from './client-behaviours-table.ts'

const DOCUMENT = join(import.meta.dirname, '../../docs/client-behaviour.md')
const BOMB_MAIN = fileURLToPath(new URL('../support/bomb-main.ts', import.meta.url))
// On the loopback everything is answered at once, except what waits on purpose.
const PATIENCE_MS = 3000
const BOMB_PATIENCE_MS = 5000
// Ferry's outcome is expected, and may come late on a busy machine.
const FERRY_PATIENCE_MS = 60_000
const BOMB_MAX_BYTES = 314_572_800
const LOOK_INTERVAL_MS = 20

const { undici, got, ky, axios } = workspace.devDependencies
const HEADS: Readonly<Record<ColumnName, string>> = {
  ferry: 'ferry',
  'undici.request': `undici.request ${undici}`,
  fetch: `fetch of Node ${process.version}`,
  got: `got ${got}`,
  ky: `ky ${ky}`,
  axios: `axios ${axios}`,
}
const QUICK = 'within 1 s'
const BOMB_ROW = 'a bomb: 10 GiB of zeros in 10 MiB of gzip'
const BOMB_FERRY = 'remote-protocol'
const DEAD_ROW = 'a host with two addresses, the first of which (IPv6) is dead'
const DEAD_FERRY = `200 "ok" · ${QUICK}`

const INTRODUCTION = `# What clients make of trouble

Written by \`FERRY_WRITE=1 npx vitest run test/interop/client-behaviour.test.ts\`; Ferry's column is what
that test asserts. The cases are in \`test/interop/client-behaviours-table.ts\`, the clients in
\`test/support/behaviour-clients.ts\`.

Clients have their default settings, but for shorter waits between tries. Where a README recommends
something for the case, what that makes of it follows, by its name. \`200 "ok"\` is a response with its
content, a number from 400 a refusal, in whatever way the client tells it; a word is the code of an
error, \`waits\` means that nothing came of it in ${PATIENCE_MS / 1000} s. \`|\` stands between requests that were made one
after another; what follows \`·\` is what the server saw, or how long it took.
`

/** Outcomes by the name of the row, in the order of the columns. */
const seen = new Map<string, readonly string[]>()

test.each(BEHAVIOUR_ROWS)('$name', async (row) => {
  const outcomes = await Promise.all(COLUMNS.map((column) => outcomesOf(column, row)))

  seen.set(row.name, outcomes)
  expect(outcomes[0]).toBe(row.ferry)
})

test(`${BOMB_ROW}`, async () => {
  const outcomes: string[] = []
  // Two at a time: each may take a processor and much memory.
  const bombs = COLUMNS.map((column) => () => explode(column))
  for (let index = 0; index < bombs.length; index += 2) {
    outcomes.push(...(await Promise.all(bombs.slice(index, index + 2).map((bomb) => bomb()))))
  }

  seen.set(BOMB_ROW, outcomes)
  expect(outcomes[0]).toBe(BOMB_FERRY)
}, 300_000)

test(`${DEAD_ROW}`, async () => {
  const row: BehaviourRow = {
    name: DEAD_ROW,
    topic: 'lookup',
    open: openDeadFirst,
    asks: [
      {
        addresses: [
          { address: '::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ],
      },
    ],
    ferry: DEAD_FERRY,
  }

  const outcomes = await Promise.all(COLUMNS.map((column) => outcomesOf(column, row)))

  seen.set(DEAD_ROW, outcomes)
  expect(outcomes[0]).toBe(row.ferry)
})

test('docs/client-behaviour.md holds every row with the outcome of Ferry', async () => {
  if (process.env['FERRY_WRITE'] === '1') await writeFile(DOCUMENT, formatDocument())

  const text = await readFile(DOCUMENT, 'utf8')
  const rows = [
    ...BEHAVIOUR_ROWS,
    { name: BOMB_ROW, ferry: BOMB_FERRY },
    { name: DEAD_ROW, ferry: DEAD_FERRY },
  ]
  for (const { name, ferry } of rows) expect(text).toContain(`| ${cell(name)} | ${code(ferry)} |`)
  // And the heads of the columns.
  expect(text.match(/^\| /gm)).toHaveLength(rows.length + 1)
})

/** What a client makes of a row, as it is and as recommended; where speed counts, at its best. */
async function outcomesOf(column: Column, row: BehaviourRow): Promise<string> {
  const isLate = (outcome: string): boolean =>
    column.name === 'ferry' && row.ferry.endsWith(QUICK) && !outcome.endsWith(QUICK)
  let outcome = await oneOutcomeOf(column, row)
  // A busy machine may have held it up.
  for (let tries = 0; tries < 5 && isLate(outcome); tries++) {
    outcome = await oneOutcomeOf(column, row)
  }
  return outcome
}

async function oneOutcomeOf(column: Column, row: BehaviourRow): Promise<string> {
  const patienceMs = column.name === 'ferry' ? FERRY_PATIENCE_MS : PATIENCE_MS
  const plain = await outcomeOf(column.create(row.topic), row, patienceMs)
  const advised = column.createAdvised?.(row.topic)
  if (advised === undefined) return plain
  return `${plain}; ${advised.advice}: ${await outcomeOf(advised.client, row, patienceMs)}`
}

async function outcomeOf(
  created: BehaviourClient,
  row: BehaviourRow,
  patienceMs: number,
): Promise<string> {
  await using stage = await row.open()
  await using client = created
  const asks = row.asks ?? [{}]
  const startedAt = performance.now()
  const outcomes: string[] = []
  for (const ask of asks) {
    const asked = client.send({ method: 'GET', url: stage.url, ...ask }).then(describeReply, codeOf)
    outcomes.push(await Promise.race([asked, patience(patienceMs)]))
    // A server that closes a connection has done so by then.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const tookMs = performance.now() - startedAt
  return [outcomes.join(' | '), ...notesOf(stage, row, tookMs)].join(' · ')
}

function describeReply({ status, text }: Reply): string {
  if (status >= 400) return String(status)
  return `${status} ${text.startsWith('\u001F') ? '(as it came, coded)' : JSON.stringify(text)}`
}

/** What there is to say besides: how many requests, what the server saw, how long it took. */
function notesOf({ requests, notes = [] }: Stage, row: BehaviourRow, tookMs: number): string[] {
  const expected = row.asks?.length ?? 1
  const told = [...new Set(notes)]
  if (requests.length > expected && row.topic !== 'lookup')
    told.unshift(`${requests.length} requests`)
  if (/Retry-After/.test(row.name) && requests.length > 1) {
    told.push(tookMs >= 990 ? 'after 1 s' : 'too soon')
  }
  if (row.topic === 'slow' || row.topic === 'lookup') {
    if (tookMs < 1000) told.push(QUICK)
  }
  return told
}

function patience(ms: number): Promise<string> {
  return new Promise((resolve) => setTimeout(() => resolve('waits'), ms).unref())
}

/** The address that is alive has the same port as the dead one. */
async function openDeadFirst(): Promise<Stage> {
  const server = await CountingServer.open(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const dead = await DeadAddress.open(server.port)
  return {
    url: `http://two-addresses.test:${server.port}/`,
    requests: server.requests,
    async [Symbol.asyncDispose]() {
      await dead[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** What becomes of a bomb in processes of their own. */
async function explode(column: Column): Promise<string> {
  const plain = await explodeIn(column.name, [])
  const advised = column.createAdvised?.('bomb')
  if (advised === undefined) return plain
  await advised.client[Symbol.asyncDispose]()
  return `${plain}; ${advised.advice}: ${await explodeIn(column.name, ['advised'])}`
}

async function explodeIn(name: ColumnName, args: readonly string[]): Promise<string> {
  await using stage = await openBomb()
  const condition = '--conditions=ferry-source'
  const child = spawn(process.execPath, [condition, BOMB_MAIN, name, stage.url, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const ended = new Promise((resolve) => child.once('close', resolve))
  const patienceMs = name === 'ferry' ? FERRY_PATIENCE_MS : BOMB_PATIENCE_MS
  const startedAt = performance.now()
  let verdict: string | undefined
  const watch = setInterval(() => {
    if (rssOf(child.pid) > BOMB_MAX_BYTES) verdict ??= 'more than 300 MiB of memory'
    else if (performance.now() - startedAt > patienceMs) verdict ??= 'goes on'
    if (verdict !== undefined) child.kill('SIGKILL')
  }, LOOK_INTERVAL_MS)
  await ended
  clearInterval(watch)
  return verdict ?? printed.trim()
}

function rssOf(pid: number | undefined): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

function formatDocument(): string {
  const heads = COLUMNS.map(({ name }) => HEADS[name])
  const lines = [...seen].map(([name, outcomes]) => {
    return `| ${[cell(name), ...outcomes.map(code)].join(' | ')} |`
  })
  return `${INTRODUCTION}
| case | ${heads.join(' | ')} |
|${'---|'.repeat(heads.length + 1)}
${lines.join('\n')}
`
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}

function code(text: string): string {
  return cell(`\`${text}\``)
}
